// What a GPU refuses, and what makes the host wait for it.
#pragma once

#include "graph.h"

namespace fakecuda {

// They look at values to know the shape of what they give, or give a value of the host.
inline const std::set<std::string> kWaiting = {
    "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::_unique2", "aten::bincount",
    "aten::repeat_interleave", "aten::unique_dim", "aten::unique_consecutive", "aten::histc",
};
// They take an index from the host, and copy it first.
inline const std::set<std::string> kIndexing = {"aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::index_put"};
// They take no number of the host in place of a tensor, as elementwise operations do.
inline const std::set<std::string> kDeviceOnly = {
    "aten::index_select", "aten::index_copy_", "aten::index_copy", "aten::index_add_", "aten::gather", "aten::scatter_",
    "aten::scatter", "aten::embedding", "aten::take_along_dim", "aten::cat", "aten::masked_scatter_",
};

struct Seen {  // of a call's tensors
  std::set<c10::DeviceIndex> devices;
  int host = 0, numbers = 0, masks = 0;  // on the host with dimensions and without; index tensors of bool
  bool pinned = true;
};

inline Seen look(const std::string& name, const Stack& arguments) {
  Seen seen;
  for (const auto& value : arguments)
    for_each_tensor(value, [&](const Tensor& t) {
      if (t.is_cuda()) seen.devices.insert(t.device().index());
      else (t.dim() ? seen.host : seen.numbers)++;
      if (t.is_cpu()) seen.pinned &= PinnedAllocator::holds(t.const_data_ptr());
      if (value.isOptionalTensorList() && kIndexing.count(name) && (t.scalar_type() == at::kBool || t.scalar_type() == at::kByte))
        seen.masks++;
    });
  return seen;
}

}  // namespace fakecuda
