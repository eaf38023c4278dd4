"""Tests of what builds, measures and judges: tools, bench, acceptance."""
