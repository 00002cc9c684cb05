"""When windows are due: against a definition that looks at every window on its own."""

from core.monitor.worlds import START
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.config import ModelConfig, WindowConfig
from streams.core.monitor.schedule import Due, Schedule, Stage

TICK = 1_000

windows = st.tuples(st.integers(1, 12), st.sampled_from([1, 2, 3])).map(
    lambda pair: WindowConfig(size=pair[0] * 10_000 * pair[1], hop=pair[0] * 10_000)
)


def model(out_of_orderness: int, lateness: int, horizon: int) -> ModelConfig:
    return ModelConfig(
        model="m",
        task="regression",
        out_of_orderness=out_of_orderness,
        allowed_lateness=lateness,
        label_horizon=horizon,
    )


delays = st.tuples(
    st.sampled_from([0, 500, 2_000]),
    st.sampled_from([1_500, 30_000]),
    st.sampled_from([5_000, 100_000, 600_000]),
)


def stages(window: WindowConfig, end: int, config: ModelConfig) -> dict[int, set[Stage]]:
    """Moments of one window's stages, by the words of the documentation."""
    settle = config.allowed_lateness + config.out_of_orderness
    final = settle + config.label_horizon
    wanted = [
        (end, Stage.ARRIVED),
        (end + config.out_of_orderness, Stage.FIRST),
        (end + settle, Stage.SETTLE),
        (end + final, Stage.FINAL),
    ]
    named = {-(-at // TICK) for at, stage in wanted if stage is not Stage.ARRIVED}
    for k in range(40):
        at = end + window.size * 2**k
        if config.out_of_orderness < window.size * 2**k < final and -(-at // TICK) not in named:
            wanted.append((at, Stage.REVISE))
    found: dict[int, set[Stage]] = {}
    for at, stage in wanted:
        found.setdefault(-(-at // TICK) * TICK, set()).add(stage)
    return found


@settings(max_examples=40, deadline=None)
@given(window=windows, other=windows, delay=delays)
def test_every_stage_of_every_window_is_due_once_at_its_moment(
    window: WindowConfig, other: WindowConfig, delay: tuple[int, int, int]
) -> None:
    config = model(*delay)
    pair = (window, other)
    schedule = Schedule(pair, config, TICK)
    span = 400
    expected = set()
    for index, one in enumerate(pair):
        first = (START - 3_000_000) // one.step * one.step
        for end in range(first, START + (span + 1) * TICK, one.step):
            for at, found in stages(one, end, config).items():
                if START < at <= START + span * TICK:
                    expected |= {(at, Due(index, end - one.size, end, s)) for s in found}
    seen = [
        (moment, due)
        for moment in range(START + TICK, START + (span + 1) * TICK, TICK)
        for due in schedule.due(moment)
    ]
    assert len(seen) == len(set(seen))
    assert set(seen) == expected


@settings(max_examples=40, deadline=None)
@given(window=windows, other=windows, delay=delays, start=st.integers(0, 500))
def test_nothing_is_due_before_the_next_moment_and_something_is_due_then(
    window: WindowConfig, other: WindowConfig, delay: tuple[int, int, int], start: int
) -> None:
    schedule = Schedule((window, other), model(*delay), TICK)
    moment = START + start * TICK
    following = schedule.next_after(moment)
    assert following > moment
    assert schedule.due(following)
    assert not any(schedule.due(m) for m in range(moment + TICK, following, TICK))


def test_of_one_window_the_last_stage_is_the_final_one() -> None:
    schedule = Schedule((WindowConfig(size=60_000),), model(2_000, 600_000, 3_600_000), TICK)
    end = START
    seen = [
        due.stage
        for moment in range(end, end + 5_000_000, TICK)
        for due in schedule.due(moment)
        if due.end == end
    ]
    revisions = [Stage.REVISE] * seen.count(Stage.REVISE)
    assert seen[:2] == [Stage.ARRIVED, Stage.FIRST]
    assert seen[-1] is Stage.FINAL
    assert sorted(seen[2:-1]) == [*revisions, Stage.SETTLE]
    assert len(revisions) == 7
