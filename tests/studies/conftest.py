"""One finished study for all tests of the reports."""

from study_fixtures import cached, feature_cache, finished, models, results, study

__all__ = ["cached", "feature_cache", "finished", "models", "results", "study"]
