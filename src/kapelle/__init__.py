"""Kapelle composes music."""
