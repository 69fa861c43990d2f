// The two sides of a launch on a card, for launch<kernel>() (cuda/dialect.h).
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace galvan {

// Before a launch with more dynamic shared memory than the 48 KiB that every kernel may have.
void allow_shared_memory(const void* kernel, size_t bytes);

// Whether the kernel's code is for cards on which blocks may come while the kernel before is at work, and waits for it.
bool may_start_early(const void* kernel);

// After it: throws Error when it was refused, naming its configuration; and tells who listens (core/profile.h).
void check_launch(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes);

}  // namespace galvan
