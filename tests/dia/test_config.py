"""config.json in both published forms: every field is read, checked, and named when it is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.config import DataConfig, DecoderConfig, DiaConfig, EncoderConfig, ModelConfig, load_config, parse_config
from dia2.common.errors import CheckpointError

from ..support.dia import DIA5, first_form, tiny_dia
from ..support.models import put

STACK = (
    "max_position_embeddings", "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
    "num_key_value_heads", "head_dim", "vocab_size",
)  # fmt: skip
CROSS = ("cross_num_attention_heads", "cross_num_key_value_heads", "cross_head_dim", "cross_hidden_size")


def refusal(raw: object) -> str:
    """The message with which `raw` is refused: one line that names the file."""
    with pytest.raises(CheckpointError) as caught:
        parse_config(raw, "some/config.json")
    message = str(caught.value)
    assert message.startswith("some/config.json")
    assert message.endswith(".")
    assert len(message.splitlines()) == 1
    return message.removeprefix("some/config.json").removeprefix(": ")


# What is read


def test_defaults_are_those_of_the_published_checkpoint() -> None:
    """The spec's numbers, once more."""
    config = parse_config({"encoder_config": {}, "decoder_config": {}})
    encoder, decoder, data = config.model.encoder, config.model.decoder, config.data
    assert [getattr(encoder, name) for name in STACK] == [1024, 12, 1024, 4096, 16, 16, 128, 256]
    assert [getattr(decoder, name) for name in STACK] == [3072, 18, 2048, 8192, 16, 4, 128, 1028]
    assert [getattr(decoder, name) for name in CROSS] == [16, 16, 128, 1024]
    assert (encoder.norm_eps, decoder.norm_eps, encoder.rope_theta, decoder.rope_theta) == (1e-5, 1e-5, 1e4, 1e4)
    assert (data.audio_eos_value, data.audio_pad_value, data.audio_bos_value, data.text_pad_value) == (
        1024, 1025, 1026, 0,
    )  # fmt: skip
    assert (data.channels, decoder.num_channels) == (9, 9)
    assert data.delay_pattern == [0, 8, 9, 10, 11, 12, 13, 14, 15]
    assert data.max_delay == 15
    assert config == DiaConfig()
    assert DiaConfig() == DiaConfig(DataConfig(), ModelConfig(EncoderConfig(), DecoderConfig()))


def test_the_reference_config_is_read_field_by_field() -> None:
    path = DIA5 / "config.json"
    raw, config = json.loads(path.read_text(encoding="utf-8")), load_config(path)
    for name in ("encoder", "decoder"):
        for field, value in asdict(getattr(config.model, name)).items():
            assert raw[f"{name}_config"][field] == value
    assert config.data == DataConfig(5, [0, 2, 3, 4, 5], 0, 64, 65, 66)


@pytest.mark.parametrize("block", ["encoder", "decoder"])
def test_every_size_of_the_second_form_has_its_place(block: str) -> None:
    for name in STACK:
        raw: dict[str, Any] = {"encoder_config": {}, "decoder_config": {}}
        value = 2064 if name == "vocab_size" else 64
        put(raw, f"{block}_config.{name}", value)
        if name == "hidden_size" and block == "encoder":
            put(raw, "decoder_config.cross_hidden_size", value)
        changes = {name: value}
        if name == "num_key_value_heads":  # heads are a multiple of them
            changes["num_attention_heads"] = value
            put(raw, f"{block}_config.num_attention_heads", value)
        expected = replace(getattr(DiaConfig().model, block), **changes)
        assert getattr(parse_config(raw).model, block) == expected


def test_the_first_form_becomes_the_second() -> None:
    wide = {"encoder_config.max_position_embeddings": 128, "encoder_config.vocab_size": 128}
    config = parse_config(tiny_dia(wide | {"decoder_config.max_position_embeddings": 256}))
    first = parse_config(first_form())
    assert first == config
    assert replace(first, training=config.training) == config


@pytest.mark.parametrize(
    ("given_length", "positions"), [(1, 128), (127, 128), (128, 128), (129, 256), (1024, 1024), (3072, 3072)]
)
def test_lengths_of_the_first_form_are_rounded_up(given_length: int, positions: int) -> None:
    config = parse_config(first_form({"data.text_length": given_length, "data.audio_length": given_length}))
    assert config.model.encoder.max_position_embeddings == positions
    assert config.model.decoder.max_position_embeddings == positions


def test_what_the_first_form_alone_has() -> None:
    config = parse_config(
        first_form(
            {
                "data.text_pad_value": 5,
                "model.rope_min_timescale": 2,
                "model.rope_max_timescale": 500,
                "model.normalization_layer_epsilon": 1e-3,
                "model.weight_dtype": "bfloat16",
                "model.dropout": 0.25,
                "training.dtype": "float16",
                "training.logits_dot_in_fp32": True,
            }
        )
    )
    model = config.model
    assert (config.data.text_pad_value, model.rope_min_timescale, model.dropout) == (5, 2.0, 0.25)
    assert model.weight_dtype == "bfloat16"
    assert {stack.rope_theta for stack in (model.encoder, model.decoder)} == {500.0}
    assert {stack.norm_eps for stack in (model.encoder, model.decoder)} == {1e-3}
    assert (config.training.dtype, config.training.logits_dot_in_fp32) == ("float16", True)


def test_defaults_of_the_first_form() -> None:
    raw = first_form({"data": {"text_length": 1024, "audio_length": 3072}, "version": "0.1"})
    model = {name: raw["model"][name] for name in ("encoder", "decoder")}
    config = parse_config({"data": raw["data"], "model": model})
    assert config.data == DataConfig()
    assert (config.model.encoder.vocab_size, config.model.decoder.vocab_size) == (128, 1028)
    assert (config.model.encoder.norm_eps, config.model.decoder.rope_theta) == (1e-5, 10000.0)


@pytest.mark.parametrize("form", [tiny_dia, first_form])
def test_unknown_fields_are_left_alone(form: Callable[..., dict[str, Any]]) -> None:
    raw = form({"note": [1], "architectures": ["x"]})
    for block in ("encoder_config", "model"):
        if block in raw:
            raw[block]["note"] = {}
    assert parse_config(raw) == parse_config(form())


@pytest.mark.parametrize("where", ["rope_parameters", "rope_scaling"])
def test_rope_theta_where_newer_files_have_it(where: str) -> None:
    rope = {"rope_type": "default", "rope_theta": 77.0}
    config = parse_config(tiny_dia({f"decoder_config.{where}": rope}))
    assert (config.model.decoder.rope_theta, config.model.encoder.rope_theta) == (77.0, 10000.0)
    assert parse_config(tiny_dia({f"encoder_config.{where}": None})) == parse_config(tiny_dia())


@pytest.mark.parametrize("rope", [{"rope_type": "yarn", "factor": 2.0}, {"type": "linear"}, "dynamic", [1], 5])
def test_scaled_rotary_positions_are_refused(rope: object) -> None:
    message = refusal(tiny_dia({"encoder_config.rope_scaling": rope}))
    assert message.startswith("encoder_config asks for rotary positions of kind ")
    assert message.endswith("; only the default is known.")


def test_special_tokens_may_stand_in_the_decoder() -> None:
    """So newer versions of transformers write them; at the top is null."""
    raw = tiny_dia({"decoder_config.eos_token_id": 16, "decoder_config.bos_token_id": 18})
    raw["eos_token_id"] = None
    del raw["bos_token_id"]
    assert parse_config(raw) == parse_config(tiny_dia())
    raw["decoder_config"]["eos_token_id"] = "16"
    assert refusal(raw) == "field eos_token_id must be a whole number, not a string."
    assert parse_config(tiny_dia({"decoder_config.eos_token_id": 3})) == parse_config(tiny_dia())  # the top comes first


# What is refused


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "the file must be an object with the config of a Dia model."),
        (None, "the file must be an object with the config of a Dia model."),
        (
            {},
            " has neither encoder_config and decoder_config nor data and model: give the config of a Dia model.",
        ),
        ({"encoder_config": 5, "decoder_config": {}}, "encoder_config must be an object, not a number."),
        ({"encoder_config": {}, "decoder_config": []}, "decoder_config must be an object, not a list."),
        ({"data": {}, "model": {}}, "field data.text_length is missing; add it, or give the config of a Dia model."),
        ({"data": None, "model": {}}, "data must be an object, not null."),
    ],
)
def test_another_file(raw: object, said: str) -> None:
    assert refusal(raw) == said


@pytest.mark.parametrize("block", ["encoder", "decoder"])
@pytest.mark.parametrize("name", STACK)
@pytest.mark.parametrize("value", [0, -1, (1 << 24) + 1, 10**400], ids=lambda value: str(value)[:9])
def test_sizes_that_no_model_has(block: str, name: str, value: int) -> None:
    message = refusal(tiny_dia({f"{block}_config.{name}": value}))
    most = 1024 if name == "num_hidden_layers" else 1 << 24
    shown = value if abs(value) < 10**30 else "a huge number"
    assert message == f"{block}_config.{name} must be 1 to {most}, not {shown}."


@pytest.mark.parametrize("name", CROSS)
@pytest.mark.parametrize("value", [0, -3, 1 << 30])
def test_sizes_of_cross_attention(name: str, value: int) -> None:
    message = refusal(tiny_dia({f"decoder_config.{name}": value}))
    assert message == f"decoder_config.{name} must be 1 to 16777216, not {value}."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decoder_config.num_channels": 0}, "the channels must be 1 to 64, not 0."),
        ({"decoder_config.num_channels": 65}, "the channels must be 1 to 64, not 65."),
        ({"delay_pattern": [0, 1]}, "delay_pattern has 2 entries for 3 channels."),
        ({"delay_pattern": [0, 1, -1]}, "delay_pattern entries must be 0 to 4096."),
        ({"delay_pattern": [0, 1, 4097]}, "delay_pattern entries must be 0 to 4096."),
        ({"delay_pattern": [0, 1, 31]}, "the decoder has fewer positions than the delays need."),
        (
            {"decoder_config.num_key_value_heads": 3},
            "the decoder's 4 heads are not a multiple of its 3 key/value heads.",
        ),
        (
            {"encoder_config.num_key_value_heads": 2},
            "the encoder's 3 heads are not a multiple of its 2 key/value heads.",
        ),
        (
            {"decoder_config.cross_num_attention_heads": 3},
            "the decoder's 3 cross-attention heads are not a multiple of its 2 key/value heads.",
        ),
        ({"decoder_config.cross_hidden_size": 25}, "the decoder attends to a width of 25, the encoder's is 24."),
        ({"encoder_config.head_dim": 5}, "encoder_config.head_dim must be even (rotary halves), not 5."),
        ({"decoder_config.norm_eps": -1e-9}, "decoder_config.norm_eps must not be negative."),
        ({"encoder_config.rope_theta": 0}, "encoder_config.rope_theta must be positive."),
        ({"encoder_config.hidden_act": "gelu"}, "the encoder's activation 'gelu' is not silu."),
        ({"eos_token_id": 20}, "eos, pad and bos are 20, 17, 18, outside a vocabulary of 20."),
        ({"bos_token_id": 0}, "eos, pad and bos are 16, 17, 0, outside a vocabulary of 20."),
        ({"bos_token_id": 17}, "eos, pad and bos must differ."),
        ({"pad_token_id": 15}, "eos must be the first token after the codes, below pad and bos."),
        ({"encoder_config.vocab_size": 2}, "the text vocabulary must hold bytes and the two speaker tags."),
    ],
)
def test_what_contradicts_itself(changes: dict[str, object], said: str) -> None:
    assert refusal(tiny_dia(changes)) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data.text_pad_value": 128}, "text_pad_value is outside the text vocabulary."),
        ({"data.text_pad_value": -1}, "text_pad_value is outside the text vocabulary."),
        ({"model.rope_min_timescale": 0}, "rope_min_timescale must be positive."),
        ({"model.rope_min_timescale": -1.0}, "rope_min_timescale must be positive."),
        ({"data.text_length": 0}, "data.text_length must be 1 to 16777216, not 0."),
        ({"data.audio_length": -500}, "data.audio_length must be 1 to 16777216, not -500."),
        ({"model.decoder.kv_heads": 0}, "model.decoder.kv_heads must be 1 to 16777216, not 0."),
        ({"model.encoder.n_layer": -1}, "model.encoder.n_layer must be 1 to 1024, not -1."),
        ({"model.rope_max_timescale": 0}, "model.rope_max_timescale must be positive."),
        ({"data.channels": 4}, "delay_pattern has 3 entries for 4 channels."),
        ({"training.dtype": 5}, "field training.dtype must be a string, not a number."),
        ({"model.decoder.kv_heads": None}, "field model.decoder.kv_heads must be a whole number, not null."),
    ],
)
def test_what_contradicts_itself_in_the_first_form(changes: dict[str, object], said: str) -> None:
    assert refusal(first_form(changes)) == said


@pytest.mark.parametrize("block", ["encoder_config", "decoder_config"])
@pytest.mark.parametrize("name", [*STACK, "norm_eps", "rope_theta", "hidden_act"])
@pytest.mark.parametrize("value", [True, [1], {}, None], ids=repr)
def test_a_value_of_another_type_is_named(block: str, name: str, value: object) -> None:
    message = refusal(tiny_dia({f"{block}.{name}": value}))
    assert message.startswith(f"field {block}.{name} must be ")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN', b"nul"])
def test_a_file_that_is_no_json(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a JSON file"):
        load_config(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no config file"):
        load_config(tmp_path / "config.json")


# Whatever it holds, it is either read or refused in one sentence

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_EXTREME: st.SearchStrategy[object] = st.sampled_from(
    [0, -1, 1, 2, 1 << 24, 10**400, 1e308, 5e-324, float("nan"), "", "silu", [], {}, None]
)


def _names(raw: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in raw.items():
        found.append(prefix + key)
        if isinstance(value, dict):
            found += _names(value, f"{prefix}{key}.")
    return found


_EXTRA = ["encoder_config.rope_scaling", "decoder_config.rope_parameters", "decoder_config.eos_token_id"]


def _fuzzed(form: dict[str, Any], data: st.DataObject) -> None:
    raw = copy.deepcopy(form)
    names = sorted({*_names(form), *(_EXTRA if "encoder_config" in form else [])}, key=len, reverse=True)
    for name in data.draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
        *blocks, field = name.split(".")
        inner: Any = raw
        for block in blocks:
            inner = inner.get(block) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            if data.draw(st.booleans(), label="removed"):
                inner.pop(field, None)
            else:
                inner[field] = data.draw(_EXTREME | _JSON)
    try:
        config = parse_config(raw, "some/config.json")
    except CheckpointError:
        assert len(refusal(raw)) < 400
        return
    assert isinstance(config, DiaConfig)
    assert config.data.max_delay + 1 < config.model.decoder.max_position_embeddings


@given(data=st.data())
def test_any_second_form_is_read_or_refused(data: st.DataObject) -> None:
    _fuzzed(tiny_dia(), data)


@given(data=st.data())
def test_any_first_form_is_read_or_refused(data: st.DataObject) -> None:
    _fuzzed(first_form(), data)


@given(raw=_JSON)
def test_any_json_is_refused(raw: object) -> None:
    assert refusal(raw)
