"""dit_generators.data"""
