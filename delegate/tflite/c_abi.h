// The few structs of TensorFlow Lite's C interface that an external delegate meets, declared here
// because no package ships the headers. Field order and types follow lite/core/c/common.h and
// builtin_op_data.h; every offset below is asserted. Only fields of the 2.5 layout are read;
// fields that later versions appended are named where the delegate must leave room for them.

#ifndef INT8X_TFLITE_C_ABI_H_
#define INT8X_TFLITE_C_ABI_H_

#include <cstddef>
#include <cstdint>

extern "C" {

enum TfLiteStatus : int { kTfLiteOk = 0, kTfLiteError = 1 };

enum TfLiteType : int {
  kTfLiteNoType = 0,
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteUInt8 = 3,
  kTfLiteInt64 = 4,
  kTfLiteBool = 6,
  kTfLiteInt16 = 7,
  kTfLiteInt8 = 9,
  kTfLiteInt4 = 18,
};

enum TfLiteAllocationType : int {
  kTfLiteMmapRo = 1,
  kTfLiteArenaRw = 2,
  kTfLiteArenaRwPersistent = 3,
  kTfLiteDynamic = 4,
  kTfLitePersistentRo = 5,
  kTfLiteCustom = 6,
};

enum TfLitePadding : int {
  kTfLitePaddingUnknown = 0,
  kTfLitePaddingSame = 1,
  kTfLitePaddingValid = 2
};

enum TfLiteFusedActivation : int {
  kTfLiteActNone = 0,
  kTfLiteActRelu = 1,
  kTfLiteActReluN1To1 = 2,
  kTfLiteActRelu6 = 3,
};

enum TfLiteQuantizationType : int { kTfLiteNoQuantization = 0, kTfLiteAffineQuantization = 1 };

enum TfLiteBuiltinOperator : int {
  kTfLiteBuiltinAdd = 0,
  kTfLiteBuiltinAveragePool2d = 1,
  kTfLiteBuiltinConcatenation = 2,
  kTfLiteBuiltinConv2d = 3,
  kTfLiteBuiltinDepthwiseConv2d = 4,
  kTfLiteBuiltinDepthToSpace = 5,
  kTfLiteBuiltinDequantize = 6,
  kTfLiteBuiltinFullyConnected = 9,
  kTfLiteBuiltinL2Normalization = 11,
  kTfLiteBuiltinLogistic = 14,
  kTfLiteBuiltinMaxPool2d = 17,
  kTfLiteBuiltinMul = 18,
  kTfLiteBuiltinRelu = 19,
  kTfLiteBuiltinReluN1To1 = 20,
  kTfLiteBuiltinRelu6 = 21,
  kTfLiteBuiltinReshape = 22,
  kTfLiteBuiltinResizeBilinear = 23,
  kTfLiteBuiltinSoftmax = 25,
  kTfLiteBuiltinSpaceToDepth = 26,
  kTfLiteBuiltinTanh = 28,
  kTfLiteBuiltinCustom = 32,
  kTfLiteBuiltinPad = 34,
  kTfLiteBuiltinGather = 36,
  kTfLiteBuiltinTranspose = 39,
  kTfLiteBuiltinMean = 40,
  kTfLiteBuiltinSub = 41,
  kTfLiteBuiltinSqueeze = 43,
  kTfLiteBuiltinStridedSlice = 45,
  kTfLiteBuiltinExp = 47,
  kTfLiteBuiltinSplit = 49,
  kTfLiteBuiltinLogSoftmax = 50,
  kTfLiteBuiltinDelegate = 51,
  kTfLiteBuiltinPrelu = 54,
  kTfLiteBuiltinMaximum = 55,
  kTfLiteBuiltinMinimum = 57,
  kTfLiteBuiltinPadv2 = 60,
  kTfLiteBuiltinSelect = 64,
  kTfLiteBuiltinSlice = 65,
  kTfLiteBuiltinTransposeConv = 67,
  kTfLiteBuiltinTile = 69,
  kTfLiteBuiltinExpandDims = 70,
  kTfLiteBuiltinLog = 73,
  kTfLiteBuiltinSum = 74,
  kTfLiteBuiltinRsqrt = 76,
  kTfLiteBuiltinReduceMax = 82,
  kTfLiteBuiltinPack = 83,
  kTfLiteBuiltinUnpack = 88,
  kTfLiteBuiltinReduceMin = 89,
  kTfLiteBuiltinResizeNearestNeighbor = 97,
  kTfLiteBuiltinLeakyRelu = 98,
  kTfLiteBuiltinSquaredDifference = 99,
  kTfLiteBuiltinMirrorPad = 100,
  kTfLiteBuiltinAbs = 101,
  kTfLiteBuiltinSplitV = 102,
  kTfLiteBuiltinElu = 111,
  kTfLiteBuiltinQuantize = 114,
  kTfLiteBuiltinHardSwish = 117,
  kTfLiteBuiltinSelectV2 = 123,
  kTfLiteBuiltinBatchMatmul = 126,
  kTfLiteBuiltinBroadcastTo = 130,
  kTfLiteBuiltinGelu = 150,
};

struct TfLiteIntArray {
  int size;
  int data[];
};

// Layout of every released runtime. Another one, {float* data; int size; bool owning;}, stands in
// sources that no release was built from: there `size` reads as the low half of a pointer, matches
// no channel count, and every node is left to TFLite.
struct TfLiteFloatArray {
  int size;
  float data[];
};

struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
};

struct TfLiteQuantization {
  TfLiteQuantizationType type;
  void* params;
};

struct TfLiteAffineQuantization {
  TfLiteFloatArray* scale;
  TfLiteIntArray* zero_point;
  int32_t quantized_dimension;
};

enum TfLiteDimensionType { kTfLiteDimDense = 0, kTfLiteDimSparseCSR };

struct TfLiteDimensionMetadata {
  TfLiteDimensionType format;
  int dense_size;
  TfLiteIntArray* array_segments;
  TfLiteIntArray* array_indices;
};

struct TfLiteSparsity {
  TfLiteIntArray* traversal_order;
  TfLiteIntArray* block_map;
  TfLiteDimensionMetadata* dim_metadata;
  int dim_metadata_size;
};

struct TfLiteDelegate;

struct TfLiteTensor {
  TfLiteType type;
  void* data;
  TfLiteIntArray* dims;
  TfLiteQuantizationParams params;
  TfLiteAllocationType allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  TfLiteDelegate* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  TfLiteQuantization quantization;
  TfLiteSparsity* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  TfLiteDelegate* delegate;
};

struct TfLiteContext;

// Passed by value to ReplaceNodeSubsetsWithDelegateKernels: 64-bit ABIs tolerate trailing fields,
// 32-bit Arm needs this exact size (runtimes >= 2.14).
struct TfLiteRegistration {
  void* (*init)(TfLiteContext* context, const char* buffer, size_t length);
  void (*free)(TfLiteContext* context, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
  const char* (*profiling_string)(const TfLiteContext* context, const TfLiteNode* node);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
};

struct TfLiteDelegateParams {
  TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext* context, TfLiteIntArray** execution_plan);
  TfLiteTensor* tensors;
  void* impl_;
  TfLiteStatus (*ResizeTensor)(TfLiteContext*, TfLiteTensor* tensor, TfLiteIntArray* new_size);
  void (*ReportError)(TfLiteContext*, const char* message, ...);
  TfLiteStatus (*AddTensors)(TfLiteContext*, int tensors_to_add, int* first_new_tensor_index);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext*, int node_index, TfLiteNode** node,
                                         TfLiteRegistration** registration);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(TfLiteContext*,
                                                        TfLiteRegistration registration,
                                                        const TfLiteIntArray* nodes_to_replace,
                                                        TfLiteDelegate* delegate);
  int recommended_num_threads;
  void* (*GetExternalContext)(TfLiteContext*, int type);
  void (*SetExternalContext)(TfLiteContext*, int type, void* context);
  bool allow_fp32_relax_to_fp16;
  void* profiler;  // nullptr, or a TfLiteProfiler (profiler_abi.h)
};

// `opaque_delegate_builder` is read by runtimes >= 2.12 out of the delegate's own object.
struct TfLiteDelegate {
  void* data_;
  TfLiteStatus (*Prepare)(TfLiteContext* context, TfLiteDelegate* delegate);
  TfLiteStatus (*CopyFromBufferHandle)(TfLiteContext*, TfLiteDelegate*, int, TfLiteTensor*);
  TfLiteStatus (*CopyToBufferHandle)(TfLiteContext*, TfLiteDelegate*, int, TfLiteTensor*);
  void (*FreeBufferHandle)(TfLiteContext*, TfLiteDelegate*, int* handle);
  int64_t flags;
  void* opaque_delegate_builder;
};

enum TfLiteDelegateFlags : int {
  kTfLiteDelegateFlagsAllowDynamicTensors = 1,
  kTfLiteDelegateFlagsRequirePropagatedShapes = 2,
  // The delegate tells a profiler of its operators; the runtime leaves out the kernel around them.
  kTfLiteDelegateFlagsPerOperatorProfiling = 4,
};

struct TfLiteConvParams {
  TfLitePadding padding;
  int stride_width;
  int stride_height;
  TfLiteFusedActivation activation;
  int dilation_width_factor;
  int dilation_height_factor;
};

struct TfLiteDepthwiseConvParams {
  TfLitePadding padding;
  int stride_width;
  int stride_height;
  int depth_multiplier;
  TfLiteFusedActivation activation;
  int dilation_width_factor;
  int dilation_height_factor;
};

struct TfLitePoolParams {
  TfLitePadding padding;
  int stride_width;
  int stride_height;
  int filter_width;
  int filter_height;
  TfLiteFusedActivation activation;
  // computed padding: four ints that the runtime fills in
};

struct TfLiteFullyConnectedParams {
  TfLiteFusedActivation activation;
  int weights_format;
  bool keep_num_dims;
  bool asymmetric_quantize_inputs;
};

struct TfLiteAddParams {
  TfLiteFusedActivation activation;
  bool pot_scale_int16;
};

struct TfLiteMulParams {
  TfLiteFusedActivation activation;
};

struct TfLiteConcatenationParams {
  int axis;
  TfLiteFusedActivation activation;
};

struct TfLiteSqueezeParams {
  int squeeze_dims[8];
  int num_squeeze_dims;
};

struct TfLiteReducerParams {
  bool keep_dims;
};

struct TfLiteSoftmaxParams {
  float beta;
};

// `offset`, from version 8 of the operator on, is appended.
struct TfLiteStridedSliceParams {
  int begin_mask;
  int end_mask;
  int ellipsis_mask;
  int new_axis_mask;
  int shrink_axis_mask;
};

struct TfLiteGatherParams {
  int axis;
  int batch_dims;
};

struct TfLitePackParams {
  int values_count;
  int axis;
};

struct TfLiteUnpackParams {
  int num;
  int axis;
};

struct TfLiteSpaceToDepthParams {
  int block_size;
};

enum TfLiteMirrorPaddingMode : int {
  kTfLiteMirrorPaddingReflect = 1,
  kTfLiteMirrorPaddingSymmetric = 2,
};

struct TfLiteMirrorPaddingParams {
  TfLiteMirrorPaddingMode mode;
};

// RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR.
struct TfLiteResizeParams {
  bool align_corners;
  bool half_pixel_centers;
};

// `activation` is newer than the 2.5 layout; every runtime that loads the delegate has it.
struct TfLiteTransposeConvParams {
  TfLitePadding padding;
  int stride_width;
  int stride_height;
  TfLiteFusedActivation activation;
};

struct TfLiteBatchMatMulParams {
  bool adj_x;
  bool adj_y;
};

struct TfLiteL2NormParams {
  TfLiteFusedActivation activation;
};

struct TfLiteLeakyReluParams {
  float alpha;
};

struct TfLiteGeluParams {
  bool approximate;
};

}  // extern "C"

#define INT8X_OFFSET(type, field, lp64, ilp32)                                                \
  static_assert(offsetof(type, field) == (sizeof(void*) == 8 ? size_t{lp64} : size_t{ilp32}), \
                #type "." #field)
#define INT8X_SIZE(type, lp64, ilp32) \
  static_assert(sizeof(type) == (sizeof(void*) == 8 ? size_t{lp64} : size_t{ilp32}), #type)

INT8X_SIZE(TfLiteTensor, 112, 64);
INT8X_OFFSET(TfLiteTensor, data, 8, 4);
INT8X_OFFSET(TfLiteTensor, dims, 16, 8);
INT8X_OFFSET(TfLiteTensor, params, 24, 12);
INT8X_OFFSET(TfLiteTensor, allocation_type, 32, 20);
INT8X_OFFSET(TfLiteTensor, bytes, 40, 24);
INT8X_OFFSET(TfLiteTensor, name, 56, 32);
INT8X_OFFSET(TfLiteTensor, is_variable, 77, 45);
INT8X_OFFSET(TfLiteTensor, quantization, 80, 48);
INT8X_OFFSET(TfLiteTensor, sparsity, 96, 56);
INT8X_OFFSET(TfLiteTensor, dims_signature, 104, 60);

INT8X_SIZE(TfLiteDimensionMetadata, 24, 16);
INT8X_SIZE(TfLiteSparsity, 32, 16);
INT8X_OFFSET(TfLiteSparsity, dim_metadata, 16, 8);

INT8X_SIZE(TfLiteNode, 72, 36);
INT8X_OFFSET(TfLiteNode, user_data, 32, 16);
INT8X_OFFSET(TfLiteNode, builtin_data, 40, 20);
INT8X_OFFSET(TfLiteNode, delegate, 64, 32);

INT8X_SIZE(TfLiteRegistration, 88, 48);
INT8X_OFFSET(TfLiteRegistration, builtin_code, 40, 20);
INT8X_OFFSET(TfLiteRegistration, custom_name, 48, 24);
INT8X_OFFSET(TfLiteRegistration, version, 56, 28);
INT8X_OFFSET(TfLiteRegistration, registration_external, 64, 32);
INT8X_OFFSET(TfLiteRegistration, inplace_operator, 80, 40);

INT8X_SIZE(TfLiteDelegate, 56, 40);
INT8X_OFFSET(TfLiteDelegate, Prepare, 8, 4);
INT8X_OFFSET(TfLiteDelegate, flags, 40, 24);
INT8X_OFFSET(TfLiteDelegate, opaque_delegate_builder, 48, 32);

INT8X_SIZE(TfLiteDelegateParams, 32, 16);
INT8X_SIZE(TfLiteAffineQuantization, 24, 12);

INT8X_OFFSET(TfLiteContext, GetExecutionPlan, 8, 4);
INT8X_OFFSET(TfLiteContext, tensors, 16, 8);
INT8X_OFFSET(TfLiteContext, impl_, 24, 12);
INT8X_OFFSET(TfLiteContext, ReportError, 40, 20);
INT8X_OFFSET(TfLiteContext, GetNodeAndRegistration, 56, 28);
INT8X_OFFSET(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels, 64, 32);
INT8X_OFFSET(TfLiteContext, recommended_num_threads, 72, 36);
INT8X_OFFSET(TfLiteContext, allow_fp32_relax_to_fp16, 96, 48);
INT8X_OFFSET(TfLiteContext, profiler, 104, 52);

INT8X_SIZE(TfLiteConvParams, 24, 24);
INT8X_SIZE(TfLiteDepthwiseConvParams, 28, 28);
INT8X_OFFSET(TfLitePoolParams, activation, 20, 20);
INT8X_OFFSET(TfLiteFullyConnectedParams, keep_num_dims, 8, 8);
INT8X_OFFSET(TfLiteConcatenationParams, activation, 4, 4);
INT8X_OFFSET(TfLiteTransposeConvParams, activation, 12, 12);
INT8X_OFFSET(TfLiteSqueezeParams, num_squeeze_dims, 32, 32);

#undef INT8X_OFFSET
#undef INT8X_SIZE

#endif  // INT8X_TFLITE_C_ABI_H_
