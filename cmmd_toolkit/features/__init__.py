"""cmmd_toolkit.features"""
