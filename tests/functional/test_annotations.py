"""The closed form of several annotators, against brute force and known special cases."""

import itertools
import math

import pytest
import torch

from nbam_pyro import functional as nf

ITEM = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
WHO = torch.tensor([0, 1, 2, 0, 2, 0, 1, 2])
LABEL = torch.tensor([0, 1, 0, 2, 2, 1, 1, 0])


def story(seed=0, items=3, annotators=3, k=3):
    generator = torch.Generator().manual_seed(seed)
    f = torch.rand(items, k, generator=generator, dtype=torch.double)
    c = torch.rand(annotators, k, k, generator=generator, dtype=torch.double) + 0.1
    return (f / f.sum(-1, keepdim=True)).log(), (c / c.sum(-1, keepdim=True)).log()


def close(left, right):
    assert torch.allclose(left, right, rtol=0, atol=1e-10), (left, right)


def test_the_closed_form_equals_brute_force_over_all_true_labels():
    log_f, log_c = story()
    total = torch.zeros(3, 3, dtype=torch.double)
    evidence = 0.0
    for labels in itertools.product(range(3), repeat=3):
        log_p = sum(log_f[i, c] for i, c in enumerate(labels))
        log_p = log_p + sum(
            log_c[j, labels[i], y] for i, j, y in zip(ITEM, WHO, LABEL, strict=True)
        )
        evidence = evidence + log_p.exp()
        for i, c in enumerate(labels):
            total[i, c] += log_p.exp()
    s = nf.annotation_log_joint(log_f, ITEM, WHO, LABEL, log_c)
    close(s.logsumexp(-1).sum(), evidence.log())
    close(s.softmax(-1), total / evidence)
    a, b = nf.annotation_pairs(s, ITEM, LABEL)
    close(torch.logaddexp(a, b), s.logsumexp(-1)[ITEM])
    close(nf.responsibility(a, b), 1 - s.softmax(-1)[ITEM, LABEL])


def test_known_accuracies_of_two_classes_give_the_weights_of_nitzan_and_paroush():
    p = torch.tensor([0.9, 0.6, 0.7], dtype=torch.double)
    one_coin = torch.stack([torch.stack([p, 1 - p], -1), torch.stack([1 - p, p], -1)], 1).log()
    flat = torch.full((1, 2), 0.5, dtype=torch.double).log()
    item, who, label = torch.zeros(3, dtype=torch.long), torch.arange(3), torch.tensor([1, 0, 0])
    s = nf.annotation_log_joint(flat, item, who, label, one_coin)
    weights = (p / (1 - p)).log()
    close(s[0, 1] - s[0, 0], weights[0] - weights[1] - weights[2])


def test_the_order_of_annotators_items_and_triples_does_not_matter():
    log_f, log_c = story()
    s = nf.annotation_log_joint(log_f, ITEM, WHO, LABEL, log_c)
    triples, items, people = torch.randperm(8), torch.randperm(3), torch.randperm(3)
    moved = nf.annotation_log_joint(
        log_f[items],
        items.argsort()[ITEM[triples]],
        people.argsort()[WHO[triples]],
        LABEL[triples],
        log_c[people],
    )
    close(moved, s[items])


def test_one_who_guesses_or_always_gives_the_same_label_has_no_effect():
    log_f, log_c = story()
    without = WHO != 2
    expected = nf.annotation_log_joint(
        log_f, ITEM[without], WHO[without], LABEL[without], log_c
    ).softmax(-1)
    spam = torch.tensor([0.2, 0.3, 0.5], dtype=torch.double).log().expand(3, 3)
    guessing = torch.stack([log_c[0], log_c[1], spam])
    close(nf.annotation_log_joint(log_f, ITEM, WHO, LABEL, guessing).softmax(-1), expected)
    always = torch.stack([log_c[0], log_c[1], torch.eye(3, dtype=torch.double)[[1, 1, 1]].log()])
    same = torch.where(WHO == 2, 1, LABEL)
    close(nf.annotation_log_joint(log_f, ITEM, WHO, same, always).softmax(-1), expected)


def test_a_duplicated_annotator_sharpens_the_posterior():
    # The story takes annotators as independent, so a copy counts twice. This is known and wrong.
    log_f, log_c = story()
    flat = torch.zeros_like(log_f).log_softmax(-1)
    own = WHO == 0
    once = nf.annotation_log_joint(flat, ITEM[own], WHO[own], LABEL[own], log_c)
    twice = nf.annotation_log_joint(
        flat, ITEM[own].repeat(2), WHO[own].repeat(2), LABEL[own].repeat(2), log_c
    )
    entropy = [torch.special.entr(one.softmax(-1)).sum(-1) for one in (once, twice)]
    assert bool((entropy[1] < entropy[0]).all())


def test_one_annotation_per_item_equals_the_groups_of_label_flip():
    log_f, _ = story(items=4, k=3)
    alpha = torch.tensor([-1.0, 0.5, -2.0], dtype=torch.double)
    g = torch.tensor([0.3, -0.7], dtype=torch.double)
    flip = torch.rand(3, 3, dtype=torch.double) * (1 - torch.eye(3, dtype=torch.double))
    flip = flip / flip.sum(-1, keepdim=True)
    rate = torch.sigmoid(alpha + g[:, None])
    confusion = rate[:, :, None] * flip + torch.diag_embed(1 - rate)
    item, who, label = torch.arange(4), torch.tensor([0, 1, 1, 0]), torch.tensor([2, 0, 1, 1])
    s = nf.annotation_log_joint(log_f, item, who, label, confusion.log())
    expected = nf.label_flip_log_joint(log_f, label, alpha, flip.log(), g[who])
    for ours, theirs in zip(nf.annotation_pairs(s, item, label), expected, strict=True):
        close(ours, theirs)


def test_a_verified_item_keeps_one_class_and_an_item_without_annotations_keeps_f():
    log_f, log_c = story(items=4)
    known = torch.tensor([-1, 0, -1, -1])
    s = nf.annotation_log_joint(log_f, ITEM, WHO, LABEL, log_c, true_label=known)
    free = nf.annotation_log_joint(log_f, ITEM, WHO, LABEL, log_c)
    assert s[1].tolist() == [free[1, 0].item(), -math.inf, -math.inf]
    close(s[3], log_f[3])
    a, b = nf.annotation_pairs(s, ITEM, LABEL)
    assert nf.responsibility(a, b)[3:5].tolist() == [1, 1]
    assert s[3].logsumexp(-1).item() == pytest.approx(0, abs=1e-12)


def test_gradients_are_finite_with_verified_items_of_two_classes():
    log_f, log_c = story(k=2)
    log_c.requires_grad_()
    label, known = LABEL.clamp_max(1), torch.tensor([1, 0, -1])
    s = nf.annotation_log_joint(log_f, ITEM, WHO, label, log_c, true_label=known)
    s.logsumexp(-1).sum().backward()
    assert bool(log_c.grad.isfinite().all())
