"""Campaigns: everything that is measured of a ladder, stage by stage, each resumable."""
