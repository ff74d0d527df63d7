"""Compute each system plainly, for the tests to compare its module with.

One dialogue at a time, in loops over turns, heads and neighbours, with the module's own
weights.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

Allowed = Callable[[int, int, int], bool]  # (head, turn, neighbour)


def attend(attention: Any, queries: torch.Tensor, keys: torch.Tensor, allowed: Allowed) -> torch.Tensor:
    size, result = attention.head_size, []
    for i in range(len(queries)):
        parts = []
        for head in range(attention.heads):
            rows = slice(head * size, (head + 1) * size)
            seen = [j for j in range(len(keys)) if allowed(head, i, j)]
            if not seen:
                parts.append(torch.zeros(size))
                continue
            scores = []
            for j in seen:
                score = attention.query(queries[i])[rows] @ attention.key(keys[j])[rows] / size**0.5
                if attention.bias is not None:
                    away = max(-attention.reach, min(attention.reach, j - i))
                    score = score + attention.bias.weight[away + attention.reach, head]
                scores.append(score)
            weights = torch.stack(scores).softmax(0)
            parts.append(
                sum(weight * attention.value(keys[j])[rows] for weight, j in zip(weights, seen, strict=True))
            )
        result.append(attention.output(torch.cat(parts)))
    return torch.stack(result)


def block(
    layer: Any, states: torch.Tensor, allowed: Allowed, keys: torch.Tensor | None = None
) -> torch.Tensor:
    states = layer.attention_norm(
        states + attend(layer.attention, states, states if keys is None else keys, allowed)
    )
    return layer.output_norm(states + layer.feed_forward(states))


def gru(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    state, result = torch.zeros(1, 1, states.shape[1]), []
    for vector in states:
        _, state = module.gru(vector.view(1, 1, -1), state)
        result.append(vector + state.flatten())
    return torch.stack(result)


def dialogxl(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    def allowed(head: int, i: int, j: int) -> bool:
        if j > i:
            return False
        if head < 1:
            return i - j <= 5
        if head < 3:
            return True
        return (speakers[i] == speakers[j]) == (head < 7)

    for layer in module.layers:
        states = block(layer, states, allowed)
    return states


def hitrans(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    size = states.shape[1]
    rows = []
    for index, vector in enumerate(states):
        angles = [index / 10000 ** (2 * (k // 2) / size) for k in range(size)]
        rows.append(
            vector
            + torch.tensor(
                [torch.tensor(a).cos() if k % 2 else torch.tensor(a).sin() for k, a in enumerate(angles)]
            )
        )
    return block(module.block, torch.stack(rows), lambda head, i, j: True)


def rgat(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    start = states
    for layer in module.layers:
        size, result = layer.head_size, []
        for i in range(len(states)):
            heads = []
            for head in range(8):
                logits, values = [], []
                for j in range(max(0, i - 5), min(len(states), i + 6)):
                    relation = 2 * (speakers[i] != speakers[j]) + (j > i)
                    weight = layer.values.weight[relation * 8 * size :][head * size : (head + 1) * size]
                    logit = layer.left[relation, head] @ (weight @ states[i]) + layer.right[
                        relation, head
                    ] @ (weight @ states[j])
                    logit = logit + layer.positions.weight[relation * 11 + j - i + 5, head]
                    logits.append(torch.nn.functional.leaky_relu(logit, 0.2))
                    values.append(weight @ states[j])
                shares = torch.stack(logits).softmax(0)
                heads.append(sum(share * value for share, value in zip(shares, values, strict=True)))
            result.append(layer.norm(states[i] + layer.output(torch.cat(heads))))
        states = torch.stack(result)
    return module.merge(torch.cat([start, states], dim=1))


def dialoguegcn(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    sequential = module.sequence(states.unsqueeze(0))[0][0]
    bases = module.bases.weight.unflatten(0, (30, -1))
    first = []
    for i in range(len(states)):
        near = [j for j in range(len(states)) if abs(i - j) <= 10]
        weights = torch.stack([module.edge(sequential[i]) @ sequential[j] for j in near]).softmax(0)
        kinds = [(min(speakers[i], 3), min(speakers[j], 3), j < i) for j in near]
        total = weights[near.index(i)] * module.itself(sequential[i])
        for weight, kind, j in zip(weights, kinds, near, strict=True):
            relation = 2 * (kind[0] * 4 + kind[1]) + kind[2]
            matrix = sum(
                a * base for a, base in zip(module.coefficients.weight[relation], bases, strict=True)
            )
            total = total + weight / kinds.count(kind) * (matrix @ sequential[j])
        first.append(total.relu())
    second = []
    for i in range(len(states)):
        near = [j for j in range(len(states)) if abs(i - j) <= 10]
        second.append(
            (module.second_itself(first[i]) + sum(module.second_neighbours(first[j]) for j in near)).relu()
        )
    return module.merge(torch.cat([sequential, torch.stack(second)], dim=1))


def tucore_gcn(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    count = len(states)
    named = torch.stack(
        [
            vector + module.speaker_embedding.weight[min(s, 3)]
            for vector, s in zip(states, speakers, strict=True)
        ]
    )
    turns = module.norm(named + attend(module.surrounding, named, named, lambda head, i, j: abs(i - j) <= 2))
    people = sorted(set(speakers))
    turns_of = {s: [i for i in range(count) if speakers[i] == s] for s in people}
    dialogue, nodes = turns.mean(0), {s: turns[turns_of[s]].mean(0) for s in people}
    levels = [(dialogue, nodes, turns)]
    for step in module.rounds:
        turns = step.lstm(turns.unsqueeze(0))[0][0]
        new = []
        for i in range(count):
            others = [j for j in turns_of[speakers[i]] if j != i]
            total = (
                step.itself(turns[i]) + step.from_dialogue(dialogue) + step.from_speaker(nodes[speakers[i]])
            )
            new.append((total + (step.of_one_speaker(turns[others].mean(0)) if others else 0)).relu())
        nodes = {
            s: (step.itself_else(nodes[s]) + step.mention(turns[turns_of[s]].mean(0))).relu() for s in people
        }
        dialogue = (step.itself_else(dialogue) + step.in_dialogue(turns.mean(0))).relu()
        turns = torch.stack(new)
        levels.append((dialogue, nodes, turns))
    rows = [
        torch.cat([part for d, n, t in levels for part in (d, n[speakers[i]], t[i])]) for i in range(count)
    ]
    return module.merge(torch.stack(rows))


def ket(module: Any, states: torch.Tensor, speakers: Sequence[int], concepts: Any = None) -> torch.Tensor:
    if concepts is not None:
        rows = []
        for i, (ids, confidences) in enumerate(concepts):
            context = states[max(0, i - 6) : i + 1].mean(0)
            vectors = [module.concept_vectors[k] for k in ids]
            weights = [
                module.balance * confidence * torch.cosine_similarity(context, vector, dim=0).abs()
                + (1 - module.balance) * module.affect[k]
                for k, confidence, vector in zip(ids, confidences, vectors, strict=True)
            ]
            shares = torch.stack(weights).softmax(0) if weights else []
            knowledge = sum(
                (share * vector for share, vector in zip(shares, vectors, strict=True)),
                torch.zeros(states.shape[1]),
            )
            rows.append(states[i] + module.enrich(torch.cat([states[i], knowledge])))
        states = torch.stack(rows)
    context = block(module.context_block, states, lambda head, i, j: 0 <= i - j <= 6)
    return block(module.turn_block, states, lambda head, i, j: 1 <= i - j <= 6, keys=context)


def s_page(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    streams = [
        block(module.whole, states, lambda head, i, j: True),
        block(module.own, states, lambda head, i, j: speakers[i] == speakers[j]),
        block(module.others, states, lambda head, i, j: speakers[i] != speakers[j]),
    ]
    fused = module.fuse(torch.cat(streams, dim=1)).relu()
    graph, result = module.graph_layer, []
    for i in range(len(fused)):
        near = [j for j in range(len(fused)) if abs(i - j) <= 10]
        scores = [
            graph.query(fused[i]) @ graph.key(fused[j]) / fused.shape[1] ** 0.5
            + graph.positions.weight[j - i + 10, 0]
            for j in near
        ]
        total = graph.itself(fused[i])
        for weight, j in zip(torch.stack(scores).softmax(0), near, strict=True):
            relation = 2 * (speakers[i] != speakers[j]) + (j > i)
            total = total + weight * graph.by_relation[relation](fused[j])
        result.append(fused[i] + total.relu())
    return torch.stack(result)


def dag_erc(module: Any, states: torch.Tensor, speakers: Sequence[int]) -> torch.Tensor:
    levels = [module.project(states).relu()]
    for layer in module.layers:
        done: list[torch.Tensor] = []
        for i, below in enumerate(levels[-1]):
            seen = []
            for j in range(i - 1, -1, -1):
                seen.append(j)
                if speakers[j] == speakers[i]:
                    break
            message = torch.zeros_like(below)
            if seen:
                weights = torch.cat([layer.score(done[j]) for j in seen]).softmax(0)
                for weight, j in zip(weights, seen, strict=True):
                    message = message + weight * (
                        layer.from_own if speakers[j] == speakers[i] else layer.from_other
                    )(done[j])
            done.append(
                layer.node(below[None], message[None])[0] + layer.received(message[None], below[None])[0]
            )
        levels.append(torch.stack(done))
    return module.merge(torch.cat([*levels, states], dim=1))


REFERENCES: dict[str, Callable[..., torch.Tensor]] = {
    "gru": gru,
    "spcl": gru,
    "dialogxl": dialogxl,
    "hitrans": hitrans,
    "rgat": rgat,
    "dialoguegcn": dialoguegcn,
    "tucore-gcn": tucore_gcn,
    "ket": ket,
    "s-page": s_page,
    "dag-erc": dag_erc,
}
