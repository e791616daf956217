"""Campaigns: everything that is measured of a ladder, stage by stage, each resumable."""

from .call import RESUME, call_campaign, campaign_of, commands, plan_campaign, stages_of
from .presets import CAMPAIGNS, Campaign, campaign_named, dry
from .runner import CampaignRun, plan, run_campaign
from .stage import Stage, StageOver, Work

__all__ = [
    "CAMPAIGNS",
    "RESUME",
    "Campaign",
    "CampaignRun",
    "Stage",
    "StageOver",
    "Work",
    "call_campaign",
    "campaign_named",
    "campaign_of",
    "commands",
    "dry",
    "plan",
    "plan_campaign",
    "run_campaign",
    "stages_of",
]
