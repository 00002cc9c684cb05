"""Makes one checkpoint and stops inside, or just after, the second one, to be killed there."""

import asyncio
import sys
from types import SimpleNamespace
from typing import Any, NoReturn

from edge.test_exactly_once import App, checkpoint, take_over


async def stop_here(*_: Any, **__: Any) -> NoReturn:
    sys.stdout.write("reached\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
    raise AssertionError


async def main(servers: str, name: str, moment: str) -> None:
    node: Any = SimpleNamespace(bootstrap_servers=servers, create_topics=lambda _: None)
    app = App(node, name)
    committer = app.exactly_once()
    await take_over(committer, app)
    await committer.commit(0, 1, checkpoint(1))
    producer: Any = app.opened[0]._producer
    if moment == "begun":
        producer.send = stop_here
    elif moment == "sent":
        producer.send_offsets_to_transaction = stop_here
    elif moment == "offsets":
        producer.commit_transaction = stop_here
    await committer.commit(0, 2, checkpoint(2))
    await stop_here()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
