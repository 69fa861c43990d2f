#include "apps/device.h"

#include <cstdio>

#include "apps/machine.h"
#include "apps/text_format.h"
#include "core/check.h"
#include "core/cpu/peak.h"
#include "core/cpu/simd/isa.h"
#include "core/parallel.h"
#include "models/files.h"
#ifdef GALVAN_CUDA
#include "core/cuda_backend.h"
#endif

namespace galvan {

#ifdef GALVAN_CUDA

Device choose_device(const std::string& name) {
  if (name == "cpu") return kCpu;
  const std::string reason = cuda_backend::unavailable();
  // A simulated card is for looking on, not for getting done: nobody is given it unasked.
  if (reason.empty()) return name == "auto" && cuda_backend::card(kCuda).simulated ? kCpu : kCuda;
  check(name != "cuda", "--device cuda: ", reason, "; --device cpu computes on the processor");
  std::fprintf(stderr, "No CUDA card is used: %s.\n", reason.c_str());
  return kCpu;
}

std::string device_description(Device device) {
  if (device.is_cpu()) return concat(threads(), threads() == 1 ? " thread, " : " threads, ", isa_name(isa()));
  const cuda_backend::Card card = cuda_backend::card(device);
  return concat(card.name, ", compute capability ", card.major, ".", card.minor,
                card.simulated ? ", simulated on the processor" : "");
}

std::string cuda_versions() {
  const cuda_backend::Card card = cuda_backend::card(kCuda);
  const auto version = [](int v) { return concat(v / 1000, ".", v % 1000 / 10); };
  return concat("driver for ", version(card.driver), ", runtime ", version(card.runtime));
}

std::vector<std::pair<std::string, std::string>> describe_cuda() {
  if (const std::string reason = cuda_backend::unavailable(); !reason.empty())
    return {{"devices", "cpu"}, {"CUDA", "no card can be used: " + reason}};
  const cuda_backend::Card card = cuda_backend::card(kCuda);
  std::vector<std::pair<std::string, std::string>> lines = {
      {"devices", "cpu, cuda"},
      {"CUDA", cuda_versions()},
      {"card", device_description(kCuda)},
      {"its memory", concat(byte_size(static_cast<double>(card.memory)), ", ", card.multiprocessors,
                            " multiprocessors, ", card.shared_memory / 1024, " KiB shared a block")}};
  if (card.simulated) return lines;
  for (const DType dtype : {DType::f32, DType::bf16})
    lines.emplace_back("its products",
                       concat(printed("%.1f", cuda_backend::measure_matmul_flops(kCuda, dtype) / 1e12),
                              " TFLOP/s in ", galvan::name(dtype)));
  lines.emplace_back("its copying", printed("%.0f", cuda_backend::measure_copy_bandwidth(kCuda) / 1e9) +
                                        " GB/s read and written");
  return lines;
}

int64_t device_memory(Device device) {
  return device.is_cpu() ? physical_memory() : cuda_backend::card(device).memory;
}

double measure_peak_flops(Device device, DType dtype) {
  return device.is_cpu() ? measure_peak_flops() : cuda_backend::measure_matmul_flops(device, dtype);
}

double measure_copy_bandwidth(Device device) {
  return device.is_cpu() ? measure_copy_bandwidth() : cuda_backend::measure_copy_bandwidth(device);
}

bool is_simulated(Device device) { return !device.is_cpu() && cuda_backend::card(device).simulated; }

void allow_tf32(Device device) { cuda_backend::set_tf32(!device.is_cpu()); }

void write_matmul_algorithms(Device device, const std::filesystem::path& file) {
  if (device.is_cpu()) return;
  std::string text;
  for (const std::string& line : cuda_backend::matmul_algorithms()) text += line + "\n";
  write_file_atomically(file, text);
}

#else

Device choose_device(const std::string& name) {
  check(name != "cuda", "--device cuda: this build has no CUDA; cpu and auto compute on the processor");
  return kCpu;
}

std::string device_description(Device) {
  return concat(threads(), threads() == 1 ? " thread, " : " threads, ", isa_name(isa()));
}

std::string cuda_versions() { return "not in this build"; }

std::vector<std::pair<std::string, std::string>> describe_cuda() {
  return {{"devices", "cpu"}, {"CUDA", cuda_versions()}};
}

int64_t device_memory(Device) { return physical_memory(); }

double measure_peak_flops(Device, DType) { return measure_peak_flops(); }

double measure_copy_bandwidth(Device) { return measure_copy_bandwidth(); }

bool is_simulated(Device) { return false; }

void allow_tf32(Device) {}

void write_matmul_algorithms(Device, const std::filesystem::path&) {}

#endif

DType parse_dtype(const std::string& name) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    if (name == galvan::name(dtype)) return dtype;
  fail("there is no dtype '", name, "' for weights; there are f32, f64, bf16");
}

DType default_dtype(Device device) { return device.is_cpu() ? DType::f32 : DType::bf16; }

}  // namespace galvan
