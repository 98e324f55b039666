"""dit_generators.training"""
