"""Campaigns: everything that is measured of a ladder, stage by stage, each resumable."""

from .call import RESUME, call_campaign, campaign_of, plan_campaign
from .presets import CAMPAIGNS, Campaign, campaign_named, dry
from .runner import CampaignRun, Stage, plan, run_campaign
from .work import StageOver, Work

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
    "dry",
    "plan",
    "plan_campaign",
    "run_campaign",
]
