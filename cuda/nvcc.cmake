# GALVAN_CUDA=ON: the language CUDA by nvcc, the one on the PATH, CUDA's usual place, or the one that
# scripts/install-dependencies --checks puts into .deps; and galvan_cuda_toolkit, what the backend links to.
set(installed_nvcc ${PROJECT_SOURCE_DIR}/.deps/cuda/nvidia/cu13/bin)
find_program(CMAKE_CUDA_COMPILER nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda/bin ${installed_nvcc}
             DOC "NVIDIA's CUDA compiler")
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR "GALVAN_CUDA=ON needs nvcc, the compiler of NVIDIA's CUDA Toolkit, and there is none on the PATH, in "
                      "/usr/local/cuda/bin or in ${installed_nvcc}; scripts/install-dependencies --checks installs one")
endif()
set(CMAKE_CUDA_ARCHITECTURES OFF)  # galvan_cuda names its own
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.3)
  message(FATAL_ERROR "GALVAN_CUDA=ON needs nvcc 12.3 or newer; ${CMAKE_CUDA_COMPILER} is ${CMAKE_CUDA_COMPILER_VERSION}")
endif()
set(CMAKE_CUDA_FLAGS_RELEASE "-O3")

get_filename_component(toolkit ${CMAKE_CUDA_COMPILER} REALPATH)
get_filename_component(toolkit ${toolkit}/../.. ABSOLUTE)
find_library(GALVAN_CUBLASLT NAMES cublasLt libcublasLt.so.13 libcublasLt.so.12
             HINTS ${toolkit}/lib64 ${toolkit}/lib ${toolkit}/targets/x86_64-linux/lib REQUIRED)
find_library(GALVAN_CUDART NAMES cudart_static
             HINTS ${toolkit}/lib64 ${toolkit}/lib ${toolkit}/targets/x86_64-linux/lib REQUIRED)
find_path(GALVAN_CUDA_INCLUDE cublasLt.h HINTS ${toolkit}/include ${toolkit}/targets/x86_64-linux/include REQUIRED)
add_library(galvan_cuda_toolkit INTERFACE)
target_include_directories(galvan_cuda_toolkit SYSTEM INTERFACE ${GALVAN_CUDA_INCLUDE})
target_link_libraries(galvan_cuda_toolkit INTERFACE ${GALVAN_CUBLASLT} ${GALVAN_CUDART} Threads::Threads ${CMAKE_DL_LIBS} rt)
