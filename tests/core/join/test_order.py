"""What comes out of a join depends on what the topics hold, and on nothing else."""

from core.join.driver import Run, StateTopic, straight
from core.join.topics import Record, settings_for, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.join.tick_join import FEEDBACK, PREDICTIONS

World = tuple[tuple[str, ...], list[Record], list[Record]]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([PREDICTIONS, FEEDBACK, "checkpoint", "restart", "finish-restart"]),
        st.integers(1, 9),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(worlds(), STEPS)
def test_chunks_and_interleaving_change_nothing(world: World, steps: list[tuple[str, int]]) -> None:
    models, predictions, feedback = world
    chosen = settings_for(models)
    calm = straight(chosen, predictions, feedback)
    lively = Run(chosen, {PREDICTIONS: predictions, FEEDBACK: feedback})
    for what, count in steps:
        if what in lively.topics:
            lively.feed(what, count)
        else:
            lively.checkpoint()
    lively.finish()
    assert lively.told() == calm.told()
    assert lively.join.books == calm.join.books


@settings(max_examples=50, deadline=None)
@given(world=worlds(), steps=STEPS, lazy=st.booleans())
def test_a_restart_anywhere_changes_nothing(
    world: World, steps: list[tuple[str, int]], *, lazy: bool
) -> None:
    models, predictions, feedback = world
    chosen = settings_for(models)
    calm = straight(chosen, predictions, feedback)
    shaken = Run(chosen, {PREDICTIONS: predictions, FEEDBACK: feedback}, StateTopic(lazy=lazy))
    for what, count in steps:
        if what in shaken.topics:
            shaken.feed(what, count)
        elif what == "checkpoint":
            shaken.checkpoint()
        else:
            # A stop in good order, or a crash that loses everything since the last checkpoint.
            if what == "finish-restart":
                shaken.checkpoint()
                books = shaken.join.books.snapshot()
                shaken.start()
                if shaken.state.marker is not None:
                    assert shaken.join.books.snapshot() == books
            else:
                shaken.start()
            shaken.check()
    shaken.finish()
    assert shaken.told() == calm.told()
    assert shaken.join.books == calm.join.books


@settings(max_examples=10, deadline=None)
@given(worlds(size=30))
def test_a_restart_after_every_record_changes_nothing(world: World) -> None:
    models, predictions, feedback = world
    chosen = settings_for(models)
    calm = straight(chosen, predictions, feedback)
    shaken = Run(chosen, {PREDICTIONS: predictions, FEEDBACK: feedback})
    for _ in range(max(len(predictions), len(feedback))):
        # Topics side by side, so that ticks are taken while others wait.
        shaken.feed(PREDICTIONS, 2)
        shaken.feed(FEEDBACK, 2)
        shaken.checkpoint()
        shaken.start()
    shaken.finish()
    assert shaken.told() == calm.told()
    assert shaken.join.books == calm.join.books
