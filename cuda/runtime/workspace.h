// Scratch memory for the matrix products on a stream: allocated at the stream's first product and kept, so that a
// captured graph may use it, and no other stream's products write to it.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace galvan {

struct Workspace {
  void* data;
  size_t bytes;
};

// Throws Error where the stream has none yet and is being captured: memory cannot be allocated then.
Workspace workspace_of(cudaStream_t stream);
// Frees it, if there is one. For the end of a stream.
void release_workspace(cudaStream_t stream);

}  // namespace galvan
