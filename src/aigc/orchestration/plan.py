"""What a `dvc repro` would run, and in which order: DVC's own graph and DVC's own answer. Runs nothing."""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigc.core import process
from aigc.core.errors import AigcError

if TYPE_CHECKING:
    from dvc.stage import Stage

SELECTING = ("glob", "recursive", "single_item", "pipeline", "all_pipelines", "downstream")


@dataclass(frozen=True)
class Plan:
    """The stages of one `dvc repro`.

    order: their names, in the order in which DVC would run them. upstream: of each, the stages of `order`
    that it waits for; direct: those of them whose outs it reads. stale: what DVC would run as the files are
    now; what follows from that comes when it has run. intact: the stages whose outs are those that dvc.lock
    has.
    """

    order: tuple[str, ...]
    upstream: dict[str, frozenset[str]]
    direct: dict[str, frozenset[str]]
    stale: frozenset[str]
    intact: frozenset[str]

    @property
    def candidates(self) -> frozenset[str]:
        """The stale stages and all that depend on them."""
        found: set[str] = set()
        for name in self.order:  # a stage comes after what it waits for
            if name in self.stale or self.upstream[name] & found:
                found.add(name)
        return frozenset(found)


def make(arguments: argparse.Namespace) -> Plan:
    """The plan of `dvc repro` with these targets and flags. Raises AigcError with DVC's reason."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        with Repo() as repo, lock_repo(repo):
            return _make(repo, arguments)
    except DvcException as error:
        raise AigcError(process.reason(str(error))) from error


def _make(repo: Any, arguments: argparse.Namespace) -> Plan:
    """As dvc.repo.reproduce.reproduce collects its stages."""
    import networkx as nx
    from dvc.dvcfile import PROJECT_FILE
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

    whole = arguments.all_pipelines or arguments.pipeline
    graph = get_active_graph(repo.index.graph)
    stages: list[Stage] = [] if arguments.all_pipelines else collect_stages(
        repo, arguments.targets or [PROJECT_FILE], arguments.recursive, arguments.glob)
    steps = plan_repro(graph, stages, pipeline=arguments.pipeline,
                       downstream=arguments.downstream and not whole)
    if arguments.single_item and not whole:
        steps = list(dict.fromkeys(stages))  # in the order of the targets, whatever depends on what
    names = {stage: stage.addressing for stage in steps}
    place = {stage: index for index, stage in enumerate(steps)}
    upstream, direct = ({names[stage]: frozenset(names[other] for other in before(graph, stage)
                                                 if place.get(other, place[stage]) < place[stage])
                         for stage in steps}
                        for before in (nx.descendants, type(graph).successors))
    stale = steps if arguments.force else [stage for stage in steps if stage.changed()]
    intact = [] if arguments.force else [stage for stage in steps if _has_its_outs(stage, stale)]
    return Plan(tuple(names.values()), upstream, direct, _named(stale), _named(intact))


def _has_its_outs(stage: "Stage", stale: list["Stage"]) -> bool:
    return stage not in stale or not stage.changed_outs()


def _named(stages: Iterable["Stage"]) -> frozenset[str]:
    return frozenset(stage.addressing for stage in stages)
