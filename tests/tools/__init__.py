"""Tests of the tools that build, measure and judge: tools, bench, acceptance."""
