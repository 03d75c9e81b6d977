#include "engine/config/plan_config.h"

#include "engine/core/error.h"

namespace baton {

void visit(ConfigVisitor& v, PlanConfig& c) {
  v("gpt", c.gpt, "plan a GPT instead: layers=96,hidden=12288,heads=96,seq=2048,vocab=51200");
  v("machine", c.machine, "YAML file of the machine, like configs/machines/h100-80g.yaml");
  v("mesh", c.mesh, "how the ranks are arranged: tp=2,ulysses=4; replicas fill the rest");
  v("search", c.search, "list the fastest meshes that fit, each with its best settings");
  v("ranks", c.ranks, "ranks in all (default: those of the mesh; with --search: those of a node)", {0, 1 << 20});
  v("global_batch", c.global_batch, "samples of a step (default: the config's)", {0, 1 << 24});
  v("micro_batch", c.micro_batch, "samples of a replica at once (default: the config's; GPT: the fastest that fits)",
    {0, 1 << 20});
  v("interleave", c.interleave, "pieces of the block stack on each pipeline stage", {1, 1 << 16});
  v.choice("order", c.order, {"1f1b", "gpipe"}, "of micro-batches in a pipeline stage");
  v.choice("recompute", c.recompute, {"auto", "none", "selective", "full"},
           "what is computed again in the backward pass; auto: as the config says (GPT: none)");
  v("recompute_every", c.recompute_every, "of a denoiser: in every so many blocks; 0: as the config says",
    {0, 1 << 16});
  v("sequence_parallel", c.sequence_parallel, "share the tokens over tp where matrices are not sharded");
  v("zero", c.zero,
    "divide over the replicas 1: optimizer state, 2: gradients too, 3: weights too; the most for --search (default: "
    "the "
    "config's)",
    {-1, 3});
  v("tokens", c.tokens, "of a picture or video (default: from data.size)", {0, 1 << 26});
  v.choice("text", c.text, {"trained", "cached"},
           "the text encoder is trained along, or its states were stored before");
  v("calibrate", c.calibrate, "measure this computer and print its machine file; --ranks: that share it");
  v("json", c.json, "one JSON object on stdout");
}

void resolve(PlanConfig& c) {
  if (c.calibrate) {
    check(c.train_config.empty() && c.gpt.empty() && c.machine.empty() && c.mesh.empty() && !c.search,
          "plan: --calibrate goes alone, or with --ranks");
    return;
  }
  check(c.train_config.empty() != c.gpt.empty(),
        "plan: give either a training config, like configs/train/denoiser.yaml, or --gpt");
  check(!c.machine.empty(), "plan: --machine is missing; name a file like configs/machines/h100-80g.yaml");
  check(!c.search || c.mesh.empty(), "plan: --search looks for the mesh itself; leave --mesh out");
  check(c.gpt.empty() || c.global_batch > 0, "plan: --gpt needs --global-batch, the samples of a step");
  check(c.gpt.empty() || c.tokens == 0, "plan: a GPT's tokens are its seq; leave --tokens out");
  check(c.order == PipelineOrder::one_f_one_b || c.interleave == 1,
        "plan: --order gpipe works on each stage as a whole; leave --interleave out");
}

}  // namespace baton
