// Where a command computes, and what that can do at most.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"

namespace galvan {

inline constexpr const char* kDeviceHelp = "where to compute; auto takes a CUDA card where there is one";

// The device of --device auto, cpu or cuda. `cuda` throws where no card can be used; `auto` then is the CPU, and in a
// build with CUDA it says in a line on the error output why.
Device choose_device(const std::string& name);

// "2 threads, avx2", or "NVIDIA H100 80GB HBM3, compute capability 9.0".
std::string device_description(Device device);

// "driver for 13.0, runtime 13.0", or "not in this build".
std::string cuda_versions();

// What there is of CUDA here, a line each: its name, and what is to be said. The ceilings are measured.
std::vector<std::pair<std::string, std::string>> describe_cuda();

// Bytes of its memory that this process may use.
int64_t device_memory(Device device);

// Lets a card round the operands of f32 matrix products to TF32: faster, with 10 bits of fraction.
void allow_tf32(Device device);
// Writes down which of the library's algorithms computed the matrix products, on which a run's bits depend; nothing on
// the CPU, where they depend on the shapes alone.
void write_matmul_algorithms(Device device, const std::filesystem::path& file);

// "f32", "f64" or "bf16".
DType parse_dtype(const std::string& name);
// What weights are where nobody says: f32 on the CPU, bf16 on a card.
DType default_dtype(Device device);

// Floating-point operations per second at most, measured: on the CPU f32 multiply-adds in registers, on a card a
// large matrix product of the dtype; 0 for a simulated card, where time means nothing.
double measure_peak_flops(Device device, DType dtype);
// Bytes per second of a large copy, read and written; 0 for a simulated card.
double measure_copy_bandwidth(Device device);

// Whether it is a card that the processor plays.
bool is_simulated(Device device);

}  // namespace galvan
