// What the simulator's cublasLt.h and CUDA's must agree in, as cuda/sim/agreement.h has it for the runtime. Every name of
// the simulator's cublasLt.h stands here.
#pragma once

#include <cublasLt.h>

#include <type_traits>

#include "cuda/sim/agreement.h"

namespace galvan::agreement {

// --- values ---
static_assert(CUDA_R_32F == 0);
static_assert(CUDA_R_64F == 1);
static_assert(CUDA_R_16BF == 14);
static_assert(CUBLAS_STATUS_SUCCESS == 0);
static_assert(CUBLAS_STATUS_INVALID_VALUE == 7);
static_assert(CUBLAS_STATUS_EXECUTION_FAILED == 13);
static_assert(CUBLAS_STATUS_NOT_SUPPORTED == 15);
static_assert(CUBLAS_OP_N == 0);
static_assert(CUBLAS_OP_T == 1);
static_assert(CUBLAS_COMPUTE_32F == 68);
static_assert(CUBLAS_COMPUTE_64F == 70);
static_assert(CUBLAS_COMPUTE_32F_FAST_TF32 == 77);
static_assert(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT == 5);
static_assert(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET == 6);
static_assert(CUBLASLT_MATMUL_DESC_TRANSA == 3);
static_assert(CUBLASLT_MATMUL_DESC_TRANSB == 4);
static_assert(CUBLASLT_MATMUL_DESC_EPILOGUE == 7);
static_assert(CUBLASLT_MATMUL_DESC_BIAS_POINTER == 8);
static_assert(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER == 11);
static_assert(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE == 10);
static_assert(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD == 12);
static_assert(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE == 13);
static_assert(CUBLASLT_EPILOGUE_DEFAULT == 1);
static_assert(CUBLASLT_EPILOGUE_BIAS == 4);
static_assert(CUBLASLT_EPILOGUE_GELU_AUX_BIAS == 164);
static_assert(CUBLASLT_EPILOGUE_BGRADB == 512);
static_assert(CUBLASLT_REDUCTION_SCHEME_NONE == 0);
static_assert(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE == 2);
static_assert(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES == 1);
static_assert(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK == 3);
static_assert(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES == 5);
static_assert(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES == 6);
static_assert(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES == 7);
static_assert(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES == 8);
static_assert(CUBLASLT_ALGO_CONFIG_ID == 0);
static_assert(CUBLASLT_ALGO_CONFIG_TILE_ID == 1);
static_assert(CUBLASLT_ALGO_CONFIG_SPLITK_NUM == 2);
static_assert(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME == 3);
static_assert(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING == 4);
static_assert(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION == 5);
static_assert(CUBLASLT_ALGO_CONFIG_STAGES_ID == 6);
static_assert(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID == 7);
static_assert(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID == 8);
static_assert(sizeof(cudaDataType_t) == sizeof(int));
static_assert(sizeof(cublasStatus_t) == sizeof(int));
static_assert(sizeof(cublasOperation_t) == sizeof(int));
static_assert(sizeof(cublasComputeType_t) == sizeof(int));
static_assert(sizeof(cublasLtMatrixLayoutAttribute_t) == sizeof(int));
static_assert(sizeof(cublasLtMatmulDescAttributes_t) == sizeof(int));
static_assert(sizeof(cublasLtEpilogue_t) == sizeof(int));
static_assert(sizeof(cublasLtReductionScheme_t) == sizeof(int));
static_assert(sizeof(cublasLtMatmulPreferenceAttributes_t) == sizeof(int));
static_assert(sizeof(cublasLtMatmulAlgoConfigAttributes_t) == sizeof(int));

// --- types ---
static_assert(std::is_same_v<cublasLtHandle_t, cublasLtContext*>);
static_assert(std::is_same_v<cublasLtMatrixLayout_t, cublasLtMatrixLayoutOpaque_t*>);
static_assert(std::is_same_v<cublasLtMatmulDesc_t, cublasLtMatmulDescOpaque_t*>);
static_assert(std::is_same_v<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceOpaque_t*>);
static_assert(std::is_same_v<decltype(cublasLtMatmulAlgo_t::data), uint64_t[8]>);
static_assert(sizeof(cublasLtMatmulHeuristicResult_t) == 64 + sizeof(size_t) + 4 + 4 + 16);
static_assert(std::is_same_v<decltype(cublasLtMatmulHeuristicResult_t::algo), cublasLtMatmulAlgo_t>);
static_assert(std::is_same_v<decltype(cublasLtMatmulHeuristicResult_t::workspaceSize), size_t>);
static_assert(std::is_same_v<decltype(cublasLtMatmulHeuristicResult_t::state), cublasStatus_t>);
static_assert(std::is_same_v<decltype(cublasLtMatmulHeuristicResult_t::wavesCount), float>);

// --- functions: what they take and return ---
static_assert(is<const char*(cublasStatus_t)>(cublasLtGetStatusName));
static_assert(is<const char*(cublasStatus_t)>(cublasLtGetStatusString));
static_assert(is<cublasStatus_t(cublasLtHandle_t*)>(cublasLtCreate));
static_assert(is<cublasStatus_t(cublasLtHandle_t)>(cublasLtDestroy));
static_assert(is<cublasStatus_t(cublasLtMatrixLayout_t*, cudaDataType_t, uint64_t, uint64_t, int64_t)>(
    cublasLtMatrixLayoutCreate));
static_assert(is<cublasStatus_t(cublasLtMatrixLayout_t, cublasLtMatrixLayoutAttribute_t, const void*,
                                size_t)>(cublasLtMatrixLayoutSetAttribute));
static_assert(is<cublasStatus_t(cublasLtMatrixLayout_t)>(cublasLtMatrixLayoutDestroy));
static_assert(
    is<cublasStatus_t(cublasLtMatmulDesc_t*, cublasComputeType_t, cudaDataType_t)>(cublasLtMatmulDescCreate));
static_assert(is<cublasStatus_t(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void*, size_t)>(
    cublasLtMatmulDescSetAttribute));
static_assert(is<cublasStatus_t(cublasLtMatmulDesc_t)>(cublasLtMatmulDescDestroy));
static_assert(is<cublasStatus_t(cublasLtMatmulPreference_t*)>(cublasLtMatmulPreferenceCreate));
static_assert(is<cublasStatus_t(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void*,
                                size_t)>(cublasLtMatmulPreferenceSetAttribute));
static_assert(is<cublasStatus_t(cublasLtMatmulPreference_t)>(cublasLtMatmulPreferenceDestroy));
static_assert(
    is<cublasStatus_t(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                      cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,
                      cublasLtMatmulHeuristicResult_t*, int*)>(cublasLtMatmulAlgoGetHeuristic));
static_assert(is<cublasStatus_t(const cublasLtMatmulAlgo_t*, cublasLtMatmulAlgoConfigAttributes_t, void*,
                                size_t, size_t*)>(cublasLtMatmulAlgoConfigGetAttribute));
static_assert(is<cublasStatus_t(cublasLtHandle_t, cublasLtMatmulDesc_t, const void*, const void*,
                                cublasLtMatrixLayout_t, const void*, cublasLtMatrixLayout_t, const void*,
                                const void*, cublasLtMatrixLayout_t, void*, cublasLtMatrixLayout_t,
                                const cublasLtMatmulAlgo_t*, void*, size_t, cudaStream_t)>(cublasLtMatmul));

}  // namespace galvan::agreement
