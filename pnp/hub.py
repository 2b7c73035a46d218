"""Pipelines on the hub of huggingface_hub, and in folders of its form.

    HubPipeline.of(pnp.load("denoise")).push_to_hub("owner/name")
    pipeline = pnp.load("hf:owner/name@revision")

A folder holds `config.json` with the pipeline as YAML, `model.safetensors` with all its weights,
and a model card, README.md.  What is read and refused is in `pnp.language.embedded`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import safetensors.torch
from huggingface_hub import PyTorchModelHubMixin, errors

from pnp import __version__
from pnp.building import build
from pnp.cards import markdown
from pnp.checkpoints import find_weights
from pnp.decoders import first_line
from pnp.document import Node
from pnp.errors import PnpError
from pnp.files import atomic, make_folder
from pnp.headers import metadata_of, read_entry, with_metadata
from pnp.hub_files import HUB, fetch
from pnp.language.embedded import CONFIG, MODEL, OUTSIDE, is_hub_folder
from pnp.language.emit import emit
from pnp.language.reader import read_spec
from pnp.language.spec import Spec
from pnp.pipeline import Pipeline
from pnp.trained_options import described
from pnp.trained_range import scales_of, trained_range


class HubPipeline(Pipeline, PyTorchModelHubMixin):
    """A pipeline with the methods `save_pretrained`, `from_pretrained` and `push_to_hub`.

    It shares the modules of the pipeline that it is made of.
    """

    _hub_mixin_config = {}  # so that the mixin does not make one of the constructor's
    name, licence, repository = "", "", ""

    @classmethod
    def of(cls, pipeline: Pipeline, name: str = "", licence: str = "") -> HubPipeline:
        """A pipeline that can be saved and pushed.

        Args:
            pipeline: The pipeline.
            name: Its name; by default that under which it was loaded.
            licence: The licence of its weights; by default that of the files they are from.
        Raises:
            PnpError: A module has no weights in this form: it is a network of another program.
        """
        for symbol, module in pipeline.spec.modules.items():
            if module.name in OUTSIDE or hasattr(pipeline.parts[symbol], "adopt"):
                reason = f"the {module.role} {module.name} is a network of another program"
                raise PnpError(f"{symbol}: {reason}, which cannot be saved as a part of ours")
        made = cls(pipeline.spec, pipeline.parts).train(pipeline.training)
        made.precision, made.checkpointing = pipeline.precision, pipeline.checkpointing
        made.name = name or re.sub(r"[^\w.-]+", "-", Path(pipeline.spec.name).stem) or "pipeline"
        made.licence = licence
        return made

    @classmethod
    def from_pretrained(  # type: ignore[override]  # the mixin's reads pickles, too
        cls, name: str | Path, *, revision: str | None = None, **options: Any
    ) -> HubPipeline:
        """The pipeline of a folder, or of the hub.

        Args:
            name: A folder, or `owner/name`.
            revision: A branch, a tag or a commit.
            options: Of huggingface_hub: `cache_dir`, `force_download`, `local_files_only`, `token`.
        Raises:
            PnpError: There is none, or it cannot be read.
        """
        folder = Path(name)
        if folder.is_dir() and not is_hub_folder(folder):
            raise PnpError(f"{name}: this folder has no {CONFIG} with {MODEL} beside it")
        if not folder.is_dir():
            text = f"{HUB}{str(name).removeprefix(HUB)}" + (f"@{revision}" if revision else "")
            folder = fetch(text, **options).parent
        spec = read_spec(str(folder / CONFIG))
        entry = read_entry(folder / MODEL)
        return cls.of(build(spec).eval(), entry.get("name", ""), entry.get("licence", ""))

    def save_pretrained(self, save_directory: str | Path, **more: Any) -> str | None:
        """Write the folder: config.json, model.safetensors, and README.md if there is none."""
        make_folder(save_directory)
        return super().save_pretrained(save_directory, **more)

    def push_to_hub(self, repo_id: str, **more: Any) -> str:
        """Write the repository `owner/name`; options as of huggingface_hub, such as `private`.

        Raises:
            PnpError: The hub cannot be reached, or refuses it.
        """
        self.repository = repo_id
        try:
            return super().push_to_hub(repo_id, **more)
        except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as e:
            cure = "look at the name and the network, and log in with `hf auth login`"
            raise PnpError(f"{HUB}{repo_id}: not pushed ({first_line(e)}); {cure}") from e

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the files; called by the mixin."""
        text, own = self.text(), self.networks
        entry = {
            **_facts(self.spec, self.licence),
            "version": __version__,
            "pipeline": text,
            "modules": described(self.spec.modules, own),
        }
        kept = [key for key in self.state_dict() if key.partition(".")[0] in own]
        state = {key: self.state_dict()[key].detach().cpu().clone().contiguous() for key in kept}
        with atomic(save_directory / MODEL) as temporary:
            content = safetensors.torch.save(state)
            temporary.write_bytes(with_metadata(content, metadata_of(self.name, entry)))
        config = {"name": self.name, "pipeline": text, "pnp": __version__}
        with atomic(save_directory / CONFIG) as temporary:
            temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        card = save_directory / "README.md"
        if not card.exists():
            with atomic(card) as temporary:
                temporary.write_text(self.card(save_directory / MODEL), encoding="utf-8")

    @property
    def networks(self) -> list[str]:
        """The symbols of the modules whose weights are saved."""
        return [symbol for symbol, module in self.parts.items() if module.needs_weights]

    def text(self) -> str:
        """The pipeline as YAML, in which each network reads model.safetensors."""
        document = self.spec.document
        modules = {}
        for symbol, module in document.value["modules"].value.items():
            own = {key: node for key, node in module.value.items() if key != "weights"}
            named = {"weights": Node(MODEL, module.origin)} if symbol in self.networks else {}
            modules[symbol] = Node({**own, **named}, module.origin)
        value = {key: node for key, node in document.value.items() if key != "weights"}
        value["modules"] = Node(modules, document.value["modules"].origin)
        return "\n".join(line for line, _ in emit(Node(value, document.origin))) + "\n"

    def card(self, model: Path) -> str:
        """README.md: the model card, with what the hub reads at its beginning."""
        licence = read_entry(model).get("licence", "").lower()
        known = licence if re.fullmatch(r"(apache|mit|bsd|cc)[\w.-]*", licence) else "other"
        head = f"---\nlibrary_name: pnp\nlicense: {known}\npipeline_tag: image-to-image\n---\n"
        source = HUB + (self.repository or f"OWNER/{self.name}")
        return f"{head}\n# {self.name}\n\n{markdown(model, MODEL, source)}"


def _facts(spec: Spec, licence: str) -> dict[str, Any]:
    """What is known of the files that a pipeline's weights are from, each fact once."""
    sources = [spec.weights, *(module.weights for module in spec.modules.values())]
    names = dict.fromkeys(node.value for node in sources if node is not None)
    entries = [_entry(name) for name in names]
    found: dict[str, Any] = {
        key: "; ".join(dict.fromkeys(e[key] for e in entries if key in e))
        for key in ("recipe", "data", "licence")
    }
    found["licence"] = licence or found["licence"] or "not stated"
    levels = [range_["noise"] for range_ in map(trained_range, names) if "noise" in range_]
    stored = [range_.get("jpeg", False) for range_ in map(trained_range, names)]
    scales = scales_of(spec)
    trained = {
        **({"scales": scales} if scales else {}),
        **({"noise": min(levels)} if levels else {}),
        **({"jpeg": True} if stored and all(stored) else {}),
    }
    return {k: v for k, v in (found | {"trained": trained}).items() if v}


def _entry(name: str) -> dict[str, Any]:
    try:
        return read_entry(find_weights(name)[0])
    except PnpError:
        return {}
