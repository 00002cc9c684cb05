"""The partitioner agrees with the clients of the Kafka world."""

import ctypes
import subprocess
import sys
from pathlib import Path

import confluent_kafka
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from streams.edge.embedded import library_path
from streams.events.partitioner import murmur2, partition_array, partition_for, partitions_for

KEYS = st.binary(max_size=70)
COUNTS = st.integers(1, 1000)


# From the unit test of org.apache.kafka.common.utils.Utils.murmur2, as signed numbers.
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_hashes_are_those_of_the_java_client(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32


@given(KEYS, COUNTS)
def test_the_partition_is_that_of_aiokafka(key: bytes, count: int) -> None:
    partitions = list(range(count))
    assert partition_for(key, count) == DefaultPartitioner()(key, partitions, partitions)


@given(KEYS.filter(bool), COUNTS)
def test_the_partition_is_that_of_librdkafka(key: bytes, count: int) -> None:
    library = ctypes.CDLL(str(library_path(Path(confluent_kafka.__file__).parent)))
    decide = library.rd_kafka_msg_partitioner_murmur2
    decide.restype = ctypes.c_int32
    decide.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int32]
    decide.argtypes += [ctypes.c_void_p, ctypes.c_void_p]
    assert partition_for(key, count) == decide(None, key, len(key), count, None, None)


@given(st.lists(KEYS, max_size=60), COUNTS)
def test_many_keys_are_placed_as_each_alone(keys: list[bytes], count: int) -> None:
    expected = [partition_for(key, count) for key in keys]
    assert partitions_for(keys, count) == expected
    assert partition_array(keys, count).tolist() == expected


def test_many_keys_are_placed_without_numpy() -> None:
    script = (
        "import sys; from streams.events.partitioner import partitions_for\n"
        "print(partitions_for([b'%d' % n for n in range(50)], 7))\n"
        "assert 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([partition_for(b"%d" % n, 7) for n in range(50)])
