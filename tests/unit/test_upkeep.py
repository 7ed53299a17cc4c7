"""What was repaired is counted, and of problems the news is told: what begins, and what is over."""

from appliance.agent.upkeep import Upkeep
from appliance.planning.wanted import Change


def test_repairs_add_up_and_the_last_are_named() -> None:
    once = Upkeep().after([Change("+", "route a"), Change("~", "file b")])
    twice = once.after([Change("-", "rule c")])
    assert (once.repairs, once.repaired) == (2, ("+ route a", "~ file b"))
    assert (twice.repairs, twice.repaired) == (3, ("- rule c",))


def test_a_problem_is_news_when_it_begins_and_when_it_ends() -> None:
    before = Upkeep().beside(("no rules", "no way out"))
    after = before.beside(("no way out", "no peer"))
    assert before.lacks(after.problems) == ("no peer",)
    assert after.lacks(before.problems) == ("no rules",)
    assert after.lacks(after.problems) == ()
