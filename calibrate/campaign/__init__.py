"""Campaigns: everything that is measured of a ladder, stage by stage, each resumable."""

from .presets import CAMPAIGNS, Campaign, campaign_named
from .runner import (
    RESUME,
    CampaignRun,
    call_campaign,
    commands,
    plan,
    plan_campaign,
    run_campaign,
    stages_of,
)
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
    "commands",
    "plan",
    "plan_campaign",
    "run_campaign",
    "stages_of",
]
