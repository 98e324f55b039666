"""cmmd_toolkit.cli"""
