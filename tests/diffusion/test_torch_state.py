import threading

import pytest
import torch

from bloomdiff.diffusion.torch_state import seeded_globally


def test_draws_are_those_of_the_seed_and_leave_no_trace():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with seeded_globally(7):
        drawn = torch.rand(5)
    torch.testing.assert_close(drawn, torch.rand(5, generator=torch.Generator().manual_seed(7)))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_thread_waits_for_another():
    inside, done, drawn = threading.Event(), threading.Event(), []

    def other():
        inside.wait()
        with seeded_globally(8):
            drawn.append(torch.rand(3))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with seeded_globally(7):
        first = torch.rand(2)
        inside.set()
        assert not done.wait(0.2)
        rest = torch.rand(3)
    thread.join()
    assert torch.equal(drawn[0], torch.rand(3, generator=torch.Generator().manual_seed(8)))
    alone = torch.Generator().manual_seed(7)
    assert torch.equal(first, torch.rand(2, generator=alone))
    assert torch.equal(rest, torch.rand(3, generator=alone))


def test_an_error_lets_the_others_go_on():
    with pytest.raises(RuntimeError, match="in between"), seeded_globally(1):
        raise RuntimeError("in between")
    with seeded_globally(1):
        assert torch.rand(1).shape == (1,)
