"""Plans of sweeps: what they ask for, and what is refused before anything is made."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dia2 import ForceAction, Steer, Where
from dia2.adapter.maker import Dia2Maker
from dia2.common.errors import UsageError
from dia2.inspect.sweeps.plan import Plan, plan_of, read_plan
from dia2.inspect.sweeps.sweep import make

from ..support.acts import of_each_kind, vector
from ..support.reference import Case, engine
from .sweeping import GRID, SCRIPT, maker, swept


class TestPlans:
    def test_every_combination_is_planned_once(self) -> None:
        runs = Plan({**GRID, "seed": [1, 2, 1]}).runs([maker()])
        assert len(runs) == len({run.id for run in runs}) == 8
        assert [run.settings["seed"] for run in runs[:3]] == [1, 1, 2]

    def test_an_id_is_of_what_decides_the_run(self, tmp_path: Path) -> None:
        """Of its content: not of names of files, of how frames are computed, or of how a setting is written."""

        def ids(make: Dia2Maker | None = None, **grid: Any) -> str:
            (run,) = Plan({"script": [SCRIPT], **grid}).runs([make or maker()])
            return run.id

        plain = ids()
        assert ids(seed=[1]) == ids(seed=np.array([1])) == ids(cfg_scale=[2]) == ids(cfg_scale=[2.0]) == plain
        assert ids(use_torch_compile=[True]) == ids(edits=[[]]) == plain
        others = [ids(seed=[2]), ids(cfg_scale=[2.5]), ids(script=["[S1] one"]), ids(make=Dia2Maker(engine("tiny3")))]
        others.append(ids(edits=[[{"kind": "ForceAction", "call": 3, "action": "pad"}]]))
        assert len({plain, *others}) == 6
        case = Case("tiny4", "prefix1").config().prefix
        assert case is not None
        sound = Path(str(case.speaker_1))
        (tmp_path / "other.wav").write_bytes(sound.read_bytes())
        words = [[dict(word) for word in case.words_1]] if isinstance(case.words_1, list) else [case.words_1]
        with_voice = ids(voice=[sound], prefix_words_1=words)
        assert ids(voice=[tmp_path / "other.wav"], prefix_words_1=words) == with_voice != plain

    def test_edits_are_given_as_values_or_as_tables_and_count_by_their_numbers(self, tmp_path: Path) -> None:
        tts, numbers = engine("tiny4"), vector(engine("tiny4"))
        (tmp_path / "v").mkdir()
        save_file({"loud": numbers, "soft": -numbers}, tmp_path / "v" / "voices.safetensors")
        save_file({"x": numbers.double()}, tmp_path / "v" / "one.safetensors")

        def ids(edits: list[Any]) -> str:
            plan = plan_of({"grid": {"script": [SCRIPT], "edits": [edits]}}, tmp_path / "v")
            (run,) = plan.runs([maker()])
            json.dumps([run.settings, run.given])
            return run.id

        steer = Steer("act.1.resid", numbers, 0.5, Where(calls=(3, 9), branches="conditional"))
        table = {"kind": "Steer", "point": "act.1.resid", "scale": 0.5}
        table |= {"where": {"calls": [3, 9], "branches": "conditional"}}
        same = [
            ids([steer]),
            ids([table | {"vector": numbers.tolist()}]),
            ids([table | {"vector": {"file": "voices.safetensors", "name": "loud"}}]),
            ids([table | {"vector": {"file": "one.safetensors"}}]),
        ]
        assert len(set(same)) == 1
        others = [
            ids([]),
            ids([table | {"vector": {"file": "voices.safetensors", "name": "soft"}}]),
            ids([replace(steer, scale=0.6)]),
            ids([ForceAction(3, "pad")]),
            ids([*of_each_kind(tts)]),
        ]
        assert len({same[0], *others}) == 6

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"file": "nowhere.safetensors"}, "no safetensors file"),
            ({"file": "two.safetensors"}, "has 2 tensors: name one"),
            ({"file": "two.safetensors", "name": "z"}, "has no tensor 'z'"),
            ({"file": "two.safetensors", "name": "b"}, r"is I64 \[4\]"),
            ({"file": "two.safetensors", "name": 3}, "A vector of a sweep is"),
            ({"file": "two.safetensors", "names": "b"}, "A vector of a sweep is"),
            ({"file": "other.safetensors"}, "another checkpoint"),
            ({"file": "wide.safetensors"}, "Steer's vector has the shape"),
            ({"digest": "0" * 64, "shape": [4]}, "A vector of a sweep is"),
            ("loud", "made of numbers"),
        ],
    )
    def test_what_is_no_vector_is_refused(self, given: Any, said: str, tmp_path: Path) -> None:
        save_file({"a": torch.ones(4), "b": torch.ones(4, dtype=torch.int64)}, tmp_path / "two.safetensors")
        save_file({"a": torch.ones(4)}, tmp_path / "other.safetensors", {"weights": "0" * 64})
        save_file({"a": torch.ones(2, 4)}, tmp_path / "wide.safetensors")
        edits = [{"kind": "Steer", "point": "act.1.resid", "vector": given}]
        with pytest.raises(UsageError, match=said):
            plan_of({"grid": {"script": [SCRIPT], "edits": [edits]}}, tmp_path).runs([maker()])

    @pytest.mark.parametrize(
        ("raw", "said"),
        [
            ({}, "A plan has a"),
            ({"grid": {}}, "A plan has a"),
            ({"grid": {"seed": [1]}}, "has no script"),
            ({"grid": {"script": "[S1] Hi."}}, r"\[grid\] script is a list of values"),
            ({"grid": {"script": []}}, "script has no values"),
            ({"grid": {"script": ["[S1] Hi."], "seed": [None]}}, "seed is a list of whole numbers"),
            (
                {"grid": {"script": ["[S1] Hi."], "seed": list(range(4000)), "top_k": list(range(4000))}},
                "10,000,000 runs",
            ),
            ({"grid": {"script": ["[S1] Hi."]}, "run": {"level": "all"}}, "level is one of tokens"),
            ({"grid": {"script": ["[S1] Hi."]}, "run": {"rows": 0}}, "rows must be a whole number from 1"),
            ({"grid": {"script": ["[S1] Hi."]}, "run": {"speed": 3}}, r"\[run\] has no speed"),
        ],
    )
    def test_what_is_no_plan(self, raw: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            plan_of(raw)

    @pytest.mark.parametrize(
        ("grid", "said"),
        [
            ({"tmperature": [1]}, "no option 'tmperature'"),
            ({"cfg_scale": [-1]}, "cfg_scale must be at least 0"),
            ({"script": ["", "[S1] Hi."]}, "script is empty"),
            ({"script": [3]}, "A script of a sweep is a text"),
            ({"voice": ["nowhere.wav"]}, "nowhere.wav"),
            ({"edits": [["x"]]}, "is not an edit"),
            ({"output_wav": ["a.wav"]}, "output_wav is no setting"),
            ({"prefix": [{"speaker_1": "a.wav"}]}, "prefix is no setting"),
            ({"use_triton": [True]}, "one script at a time"),
            ({"edits": [3]}, "a list of tables, not 3"),
            ({"seed": [2**64]}, "seed"),
            ({"top_k": [2**70]}, "top_k has .*too large"),
            ({"temperature": [float("nan")]}, "is no number"),
            ({"seed": [date(2020, 1, 1)]}, "values are texts"),
            ({"include_prefix": ["no"]}, "include_audio is True or False"),
        ],
    )
    def test_what_no_checkpoint_can_run_is_refused_before_anything_is_made(
        self, grid: dict[str, Any], said: str, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match=said):
            swept(tmp_path / "dest", GRID | grid)
        assert not (tmp_path / "dest").exists()

    def test_a_plan_is_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.toml"
        path.write_text('[model]\nnano = true\n[grid]\nscript = ["[S1] Hi."]\nvoice = ["a.wav", ""]\n[run]\nrows = 2\n')
        plan = read_plan(path)
        assert (plan.grid["voice"], plan.folder) == (["a.wav", ""], tmp_path)
        assert (plan.run.rows, plan.models) == (2, [{"nano": True}])
        assert str(plan) == "2 runs: 1 script × 2 voices × 1 seed"
        for text, said in [
            ("[grid", "no TOML"),
            ("[other]\n", r"has \[other\]"),
            ("grid = 3", r"write \[grid\]"),
        ]:
            path.write_text(text)
            with pytest.raises(UsageError, match=said):
                read_plan(path)
        with pytest.raises(UsageError, match="cannot be read"):
            read_plan(tmp_path / "none.toml")

    def test_models_are_named_as_on_the_command_line(self, tmp_path: Path) -> None:
        models: list[tuple[dict[str, Any], str]] = [
            ({"nano": True, "hf": "a/b"}, "more than one checkpoint"),
            ({"config": "a"}, "belong together"),
            ({"speed": 3}, "has no speed"),
            ({"family": "no"}, "family is one of"),
            ({"hf": 3}, "is a name, not 3"),
            ({"device": [1]}, "device is a name"),
            ({"nano": date(2020, 1, 1)}, "nano is true or false"),
            ({"family": ["x"]}, "family is a name"),
        ]
        for model, said in models:
            with pytest.raises(UsageError, match=said):
                make(Plan({"script": ["[S1] Hi."]}, model), tmp_path / "dest")
        with pytest.raises(UsageError, match="neither"):
            make(Plan({"script": ["[S1] Hi."], "checkpoint": [3]}), tmp_path / "dest")
