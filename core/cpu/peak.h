// The processor's ceiling, measured now: what a share "of the peak" refers to.
#pragma once

namespace galvan {

// f32 fused multiply-adds in registers on so many threads, in GFLOP/s (an FMA counts two): the median of a few runs of
// some milliseconds each.
double measure_peak_gflops(int threads);

}  // namespace galvan
