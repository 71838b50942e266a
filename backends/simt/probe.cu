#include "backends/simt/probe.h"
#include "platform.h"

namespace strata::STRATA_SIMT {
namespace {

STRATA_KERNEL void do_nothing() {}

}  // namespace

void probe(Stream& stream) { launch(stream, do_nothing, {}, 1, 0); }

}  // namespace strata::STRATA_SIMT
