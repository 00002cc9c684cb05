"""The proof of exactly once: Driftline under load while processes, brokers and disks fail.

    make chaos
    make chaos ARGS="--rounds 10 --only kills zombies --json"
    make chaos ARGS=--recovery

``traffic`` says what is sent, ``load`` sends it, ``oracle`` recomputes from what was sent what must
come out, ``verify`` compares. ``workers``, ``installation`` and ``cluster`` are the system under
test, ``scenarios`` what happens to it, ``recovery`` how long it takes to come back.
"""
