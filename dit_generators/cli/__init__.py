"""dit_generators.cli"""
