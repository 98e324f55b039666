"""cmmd_toolkit.scoring"""
