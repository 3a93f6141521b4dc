"""A number that moved is within its tolerance or beyond it."""

from aigc.reproduction.metric_comparison import compare_metrics


def test_a_metric_that_is_gone_is_out_of_its_tolerance() -> None:
    assert not compare_metrics({"gan.fid": 1.0}, {})[0].within


def test_a_share_takes_the_place_of_the_stated_tolerance() -> None:
    assert compare_metrics({"gan.fid": 100.0}, {"gan.fid": 130.0}, share=0.3)[0].within
    assert not compare_metrics({"gan.fid": 100.0}, {"gan.fid": 100.1}, share=0.0)[0].within
