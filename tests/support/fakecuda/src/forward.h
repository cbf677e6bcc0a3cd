// Runs an operation of the device on the CPU: its tensors seen as the CPU's, in the same memory, and the results back.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/InferenceMode.h>
#include <torch/library.h>

#include <set>
#include <unordered_map>

#include "memory.h"

namespace fakecuda {

using at::Tensor;
using c10::IValue;
using Stack = std::vector<IValue>;

template <class Visit>
void for_each_tensor(const IValue& value, const Visit& visit) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) visit(value.toTensor());
  } else if (value.isTensorList()) {
    for (const Tensor& t : value.toTensorVector()) visit(t);
  } else if (value.isOptionalTensorList()) {
    for (const std::optional<Tensor>& t : value.toOptionalTensorVector())
      if (t && t->defined()) visit(*t);
  }
}

// `value` with each tensor in it exchanged for what `change` makes of it.
template <class Change>
IValue changed(const IValue& value, const Change& change) {
  auto one = [&](const Tensor& t) { return t.defined() ? change(t) : t; };
  if (value.isTensor()) return one(value.toTensor());
  if (value.isTensorList()) {
    c10::List<Tensor> made;
    for (const Tensor& t : value.toTensorVector()) made.push_back(one(t));
    return made;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> made;
    for (const std::optional<Tensor>& t : value.toOptionalTensorVector())
      made.push_back(t ? std::optional<Tensor>(one(*t)) : t);
    return made;
  }
  return value;
}

// A tensor over `storage`, laid out as `like`.
inline Tensor over(c10::Storage storage, c10::DispatchKey key, const Tensor& like) {
  auto made = c10::make_intrusive<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
  made->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  Tensor tensor(std::move(made));
  if (like.is_conj()) tensor._set_conj(true);
  if (like.is_neg()) tensor._set_neg(true);
  return tensor;
}

// The memory of `storage`, which somebody else keeps alive.
inline c10::Storage borrowed(const c10::Storage& storage, c10::Device device) {
  c10::Allocator* grows = device.is_cpu() ? c10::GetCPUAllocator() : static_cast<c10::Allocator*>(&allocator());
  c10::DataPtr data(const_cast<void*>(storage.data()), device);
  return c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), storage.nbytes(), std::move(data), grows, /*resizable=*/true);
}

// They write what is known of a tensor, not its elements.
inline const std::set<std::string> kNoKernel = {
    "aten::resize_", "aten::set_", "aten::as_strided_", "aten::detach_", "aten::squeeze_", "aten::unsqueeze_",
    "aten::transpose_", "aten::t_", "aten::swapdims_", "aten::swapaxes_",
};

struct Outcome {
  Stack results;
  bool computed = false;  // some result is more than a view, or an argument was written
};

// The memory that a capture computes in, since it may change nothing: copies of what it would have changed.
struct Aside {
  std::unordered_map<c10::StorageImpl*, c10::Storage> own;     // made in the capture, changed as it is
  std::unordered_map<c10::StorageImpl*, c10::Storage> copies;  // of others, for the CPU
};

class Forward {
 public:
  // `aside`: where a capture computes; none: in the arguments' memory.
  Forward(const c10::OperatorHandle& op, Aside* aside) : op_(op), aside_(aside) {}

  Outcome run(const Stack& arguments) {
    at::AutoDispatchBelowADInplaceOrView below;
    Stack stack;
    // What is written comes first: the same tensor may also be read.
    for (size_t i = 0; i < arguments.size(); i++)
      if (written(i)) for_each_tensor(arguments[i], [&](const Tensor& t) { memory_of(t, true); });
    for (size_t i = 0; i < arguments.size(); i++) {
      if (arguments[i].isDevice())
        stack.emplace_back(c10::Device(c10::DeviceType::CPU));
      else
        stack.push_back(changed(arguments[i], [&](const Tensor& t) { return on_cpu(t, written(i)); }));
    }
    op_.callBoxed(&stack);
    Outcome outcome;
    for (auto& pair : pairs_)
      if (pair.written) outcome.computed |= settle(pair);
    for (const auto& result : stack)
      outcome.results.push_back(changed(result, [&](const Tensor& t) { return on_device(t, outcome.computed); }));
    return outcome;
  }

 private:
  struct Pair {
    Tensor cpu, given;
    bool written;
  };

  bool written(size_t argument) const {
    const auto* info = op_.schema().arguments()[argument].alias_info();
    return info && info->isWrite();
  }

  Tensor on_cpu(const Tensor& given, bool written) {
    auto made = given;
    if (given.is_cuda()) {
      device_ = given.device().index();
      made = over(memory_of(given, written), c10::DispatchKey::CPU, given);
    }
    pairs_.push_back({made, given, written});
    return made;
  }

  c10::Storage memory_of(const Tensor& given, bool written) {
    if (given.is_cpu()) return given.storage();
    auto* key = given.storage().unsafeGetStorageImpl();
    auto found = storages_.find(key);
    if (found == storages_.end()) found = storages_.emplace(key, chosen(given.storage(), written)).first;
    return found->second;
  }

  // Where to compute with the memory of `given`.
  c10::Storage chosen(const c10::Storage& given, bool written) {
    const c10::Device cpu(c10::DeviceType::CPU);
    auto* key = given.unsafeGetStorageImpl();
    if (!aside_ || aside_->own.count(key)) return borrowed(given, cpu);
    auto copy = aside_->copies.find(key);
    if (copy != aside_->copies.end()) return copy->second;
    if (!written) return borrowed(given, cpu);
    auto data = c10::GetCPUAllocator()->allocate(given.nbytes());
    std::memcpy(data.mutable_get(), given.data(), given.nbytes());
    c10::Storage made = c10::make_intrusive<c10::StorageImpl>(
        c10::StorageImpl::use_byte_size_t(), given.nbytes(), std::move(data), nullptr, /*resizable=*/false);
    aside_->copies.emplace(key, made);
    return made;
  }

  // After the call: an argument may have been resized, as those named `out` are. Whether it has elements to compute.
  bool settle(const Pair& pair) {
    const auto& [cpu, given, written] = pair;
    auto storage = given.storage();
    const bool copied = aside_ && aside_->copies.count(storage.unsafeGetStorageImpl());
    if (!copied && cpu.storage().data() != storage.data()) {
      auto bytes = cpu.storage().nbytes();
      storage.unsafeGetStorageImpl()->set_data_ptr_noswap(adopted(cpu.storage(), device_));
      storage.set_nbytes(bytes);
    }
    if (cpu.sizes() != given.sizes() || cpu.strides() != given.strides())
      given.unsafeGetTensorImpl()->set_sizes_and_strides(cpu.sizes(), cpu.strides(), cpu.storage_offset());
    return given.numel() > 0 && !kNoKernel.count(op_.schema().name());
  }

  Tensor on_device(const Tensor& result, bool& computed) {
    for (const auto& [cpu, given, written] : pairs_)
      if (result.is_same(cpu)) return given;
    auto* storage = result.storage().unsafeGetStorageImpl();
    for (const auto& [given, cpu] : storages_)
      if (cpu.unsafeGetStorageImpl() == storage)
        return over(c10::Storage(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(given)), c10::DispatchKey::CUDA, result);
    computed |= result.numel() > 0;
    auto bytes = result.storage().nbytes();
    c10::Storage made = c10::make_intrusive<c10::StorageImpl>(
        c10::StorageImpl::use_byte_size_t(), bytes, adopted(result.storage(), device_), &allocator(), true);
    remember(made, device_);
    return over(std::move(made), c10::DispatchKey::CUDA, result);
  }

  const c10::OperatorHandle& op_;
  Aside* aside_;
  c10::DeviceIndex device_ = this_thread().device;
  std::vector<Pair> pairs_;
  std::unordered_map<c10::StorageImpl*, c10::Storage> storages_;  // of the device: the same memory as the CPU's
};

}  // namespace fakecuda
