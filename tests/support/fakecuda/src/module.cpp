// A CUDA device for a torch that has none: the CPU's kernels under CUDA's dispatch key. See ../__init__.py.

#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "rules.h"

namespace fakecuda {

C10_REGISTER_GUARD_IMPL(CUDA, Guard)

struct Hooks final : public at::CUDAHooksInterface {
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return static_cast<c10::DeviceIndex>(device_count); }
  int getNumGPUs() const override { return device_count; }
  c10::DeviceIndex current_device() const override { return this_thread().device; }
  c10::DeviceIndex getCurrentDevice() const override { return this_thread().device; }
  void setCurrentDevice(c10::DeviceIndex device) const override { Guard().setDevice(cuda(device)); }
  bool isPinnedPtr(const void* data) const override { return PinnedAllocator::holds(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator(); }
  c10::Allocator* getCUDADeviceAllocator() const override { return &allocator(); }
  c10::Device getDeviceFromPtr(void*) const override { return cuda(this_thread().device); }
  void deviceSynchronize(c10::DeviceIndex device) const override { synchronize(device, "cudaDeviceSynchronize"); }
};
// Torch makes its hooks when it is imported and keeps them, so ours take their place in memory; neither has data.
static_assert(sizeof(Hooks) == sizeof(at::CUDAHooksInterface));
void take_the_hooks() {
  auto* made = const_cast<at::CUDAHooksInterface*>(&at::detail::getCUDAHooks());
  std::destroy_at(made);
  new (made) Hooks;
}

// The kernels launched since somebody asked.
std::mutex launched_mutex;
std::map<std::string, int64_t> launched;
std::map<std::string, int64_t> waited;  // operations for which the host waited

void launch(const std::string& name) {
  std::lock_guard<std::mutex> lock(launched_mutex);
  launched[name]++;
}

void wait_for(c10::StreamId stream, const std::string& name) {
  if (auto* graph = capturing(stream)) refuse(*graph, name);
  timeline().wait(timeline().now(stream));
  std::lock_guard<std::mutex> lock(launched_mutex);
  waited[name]++;
}

at::ScalarType type_of(std::optional<at::ScalarType> dtype) {
  return dtype.value_or(c10::typeMetaToScalarType(at::get_default_dtype()));
}

c10::Device device_of(std::optional<at::Device> asked) {
  auto device = cuda(asked ? index_of(*asked) : this_thread().device);
  TORCH_CHECK(device.index() < device_count, "CUDA error: invalid device ordinal");
  return device;
}

Tensor empty(
    at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>, std::optional<at::Device> device,
    std::optional<bool>, std::optional<at::MemoryFormat> format) {
  c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
  auto before = guard.exchangeDevice(device_of(device));
  auto made = at::detail::empty_generic(
      size, &allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA), type_of(dtype), format);
  remember(made.storage(), made.device().index());
  guard.setDevice(before);
  return made;
}

Tensor empty_strided(
    at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
    std::optional<at::Device> device, std::optional<bool>) {
  c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
  auto before = guard.exchangeDevice(device_of(device));
  auto made = at::detail::empty_strided_generic(
      size, stride, &allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA), type_of(dtype));
  remember(made.storage(), made.device().index());
  guard.setDevice(before);
  return made;
}

// A copy between the host and the device; true if it is done here.
bool transfer(const Stack& arguments, const Seen& seen, c10::StreamId stream) {
  auto to = arguments[0].toTensor(), from = arguments[1].toTensor();
  const bool asynchronous = seen.pinned && arguments.size() > 2 && arguments[2].toBool();
  if (auto* graph = capturing(stream); graph && !asynchronous) refuse(*graph, "a copy from or to memory that is not pinned");
  if (auto* graph = capturing(stream)) refuse(*graph, "a copy of the host's memory, which the tests want none of in a graph");
  if (!asynchronous) {
    wait_for(stream, to.is_cpu() ? "copy to the host" : "copy from the host");
    return false;
  }
  auto moment = timeline().enqueue(stream);
  if (to.is_cuda()) {
    if (from.is_contiguous()) timeline().send({moment, false, from, from.clone()});
    return false;
  }
  auto value = at::empty(to.sizes(), to.options().pinned_memory(false));
  value.copy_(over(borrowed(from.storage(), c10::Device(c10::DeviceType::CPU)), c10::DispatchKey::CPU, from));
  timeline().send({moment, true, to, value});
  if (to.is_floating_point()) to.fill_(std::numeric_limits<double>::quiet_NaN());  // until it has arrived
  else to.fill_(to.scalar_type() == at::kBool ? 1 : 77);
  return true;
}

void on_device(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto name = op.schema().operator_name().name;
  const size_t size = op.schema().arguments().size();
  Stack arguments(stack->end() - size, stack->end());
  const auto seen = look(name, arguments);
  const bool copies = name == "aten::copy_" || name == "aten::_copy_from";
  TORCH_CHECK(
      seen.devices.size() < 2 || copies, "Expected all tensors to be on the same device, but found at least two devices, "
      "cuda:0 and cuda:1! (", name, ")");
  const bool stray = seen.host && !kIndexing.count(name) && !copies;
  TORCH_CHECK(
      seen.devices.empty() || !(stray || (seen.numbers && kDeviceOnly.count(name))),
      "Expected all tensors to be on the same device, but found at least two devices, cuda:",
      static_cast<int>(*seen.devices.begin()), " and cpu! (", name, ")");

  const auto device = seen.devices.empty() ? this_thread().device : *seen.devices.begin();
  const auto where = current_stream(device);
  stack->erase(stack->end() - size, stack->end());
  if (copies && (seen.host || seen.numbers) && transfer(arguments, seen, where)) {
    stack->push_back(arguments[0]);
    return;
  }
  if (!copies && seen.host) wait_for(where, name + " with an index of the host");
  if (kWaiting.count(name) || seen.masks) wait_for(where, name);

  auto* graph = capturing(where);
  auto outcome = Forward(op, graph ? &graph->aside : nullptr).run(arguments);
  if (outcome.computed) {
    if (graph) record(*graph, op, arguments, outcome.results);
    else timeline().enqueue(where);
    launch(name);
  }
  for (auto& result : outcome.results) stack->push_back(std::move(result));
}

void record_stream(Tensor&, c10::Stream) {}  // memory is given back when nobody holds it

using Boxed = torch::CppFunction;

TORCH_LIBRARY_IMPL(_, CUDA, library) { library.fallback(Boxed::makeFromBoxedFunction<&on_device>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("record_stream", &record_stream);
  // Torch would take these apart, or choose by what it was built with, where CUDA has a kernel for the whole.
  for (auto* whole : {"copy_", "scaled_dot_product_attention", "rms_norm", "linear", "convolution"})
    library.impl(whole, Boxed::makeFromBoxedFunction<&on_device>());
}

}  // namespace fakecuda

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
  using namespace fakecuda;
  namespace py = pybind11;
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  take_the_hooks();
  c10::SetAllocator(c10::DeviceType::CUDA, &allocator(), /*priority=*/100);

  module.def("set_device_count", [](int count) { device_count = count; });
  module.def("current_device", [] { return static_cast<int>(this_thread().device); });
  module.def("set_device", [](int index) { Guard().setDevice(cuda(static_cast<c10::DeviceIndex>(index))); });
  module.def("default_stream", [](int index) { return default_stream(static_cast<c10::DeviceIndex>(index)); });
  module.def("current_stream", [](int index) { return current_stream(static_cast<c10::DeviceIndex>(index)); });
  module.def("set_stream", [](int index, c10::StreamId id) { this_thread().streams[static_cast<c10::DeviceIndex>(index)] = id; });
  module.def("synchronize", [](int index) { synchronize(static_cast<c10::DeviceIndex>(index), "cudaDeviceSynchronize"); }, Unlocked());

  py::class_<Graph>(module, "Graph")
      .def_property_readonly("names", [](const Graph& graph) {
        std::vector<std::string> names;
        for (const auto& node : graph.nodes) names.push_back(node.name);
        return names;
      })
      .def("end", [](Graph& graph) { end_capture(&graph); })
      .def("replay", [](Graph& graph) { replay(graph); }, Unlocked());
  module.def("begin_capture", [](int index, const std::string& mode) {
    return begin_capture(static_cast<c10::DeviceIndex>(index), mode);
  }, py::return_value_policy::take_ownership);
  module.def("is_capturing", [] { return is_capturing(current_stream(this_thread().device)); });

  module.def("launched", [] { std::lock_guard<std::mutex> lock(launched_mutex); return launched; });
  module.def("waited", [] { std::lock_guard<std::mutex> lock(launched_mutex); return waited; });
  module.def("take_problems", [] { return timeline().take_problems(); });
  module.def("memory", [](int index) {
    std::lock_guard<std::mutex> lock(memory_mutex);
    const auto& counted = counts.at(index);
    return std::map<std::string, int64_t>{{"bytes", counted.bytes}, {"peak", counted.peak}, {"allocations", counted.allocations}};
  });
  module.def("reset_peak", [](int index) {
    std::lock_guard<std::mutex> lock(memory_mutex);
    counts.at(index).peak = counts.at(index).bytes;
  });
  module.def("limit_memory", [](int64_t bytes) { most_bytes = bytes; });
}
