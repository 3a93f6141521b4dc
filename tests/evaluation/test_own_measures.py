"""A collapse that a method's own measures tell of is named."""

from aigc.evaluation import own_measures
from aigc.reporting import page


def test_a_flag_whose_mean_is_above_one_half_is_named_and_nothing_else() -> None:
    own = {"codebook_collapsed": {"value": 1.0, "train": 1.0}, "prior_collapsed": {"value": 0.0},
           "bits_per_token": {"value": 3.0}}
    assert own_measures.collapsed(own) == ["codebook collapsed"]
    assert own_measures.collapsed({}) == []


def test_the_report_names_a_method_with_what_collapsed_and_no_other() -> None:
    part = page.environment().get_template("audit_all.html")
    passed = {"memorization": {"passes": True, "pixels": {}, "features": {}}}
    html = part.render(
        methods=[{"name": "one", "title": "one", "metrics": passed, "collapsed": ["codebook collapsed"]},
                 {"name": "other", "title": "other", "metrics": passed, "collapsed": []}],
        limit=0.05, protocol={"n": 10}, controls={"holdout": passed["memorization"]}, collapse=[])
    assert '<p class="fail"><strong>one: codebook collapsed.</strong>' in html
    assert html.count('<p class="fail">') == 1
