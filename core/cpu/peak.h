// The processor's ceiling, measured now: what a share "of the peak" refers to.
#pragma once

namespace galvan {

// f32 operations per second of all the pool's threads, fused multiply-adds in registers only (each counts two): the
// best of a few runs, which together take about `seconds`.
double measure_peak_flops(double seconds = 0.05);

}  // namespace galvan
