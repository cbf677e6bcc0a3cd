// Capture and replay. What CUDA records is kernels with addresses and plain numbers, and so is this: no tensor of
// outside is kept alive, nothing is changed while it is recorded, and a replay writes where the recording did.
#pragma once

#include <thread>

#include "forward.h"

namespace fakecuda {

constexpr const char* kNotPermitted = "CUDA error: operation not permitted when stream is capturing";

struct Graph {
  struct Node {
    c10::OperatorHandle op;
    std::string name;
    Stack arguments, results;
    std::vector<std::pair<c10::weak_intrusive_ptr<c10::StorageImpl>, const void*>> outside;  // with its address
  };

  c10::DeviceIndex device = 0;
  std::thread::id thread;
  bool others_may_run = false;  // mode "thread_local" or "relaxed"
  bool spoilt = false;
  std::vector<Node> nodes;
  Aside aside;  // its own memory is its own as long as it lives
};

struct Captures {
  std::recursive_mutex mutex;
  std::map<c10::StreamId, Graph*> by_stream;  // those that are under way
};

inline Captures& captures() {
  static auto& one = *new Captures;
  return one;
}

inline Graph* capturing(c10::StreamId stream) {
  std::lock_guard<std::recursive_mutex> lock(captures().mutex);
  auto found = captures().by_stream.find(stream);
  return found == captures().by_stream.end() ? nullptr : found->second;
}

inline bool is_capturing(c10::StreamId stream) { return capturing(stream) != nullptr; }

inline void remember(const c10::Storage& made, c10::DeviceIndex device) {
  if (auto* graph = capturing(current_stream(device))) graph->aside.own.emplace(made.unsafeGetStorageImpl(), made);
}

[[noreturn]] inline void refuse(Graph& graph, const std::string& what) {
  graph.spoilt = true;
  TORCH_CHECK(false, kNotPermitted, " (", what, ")");
}

// For what this thread may not do while it captures, or while another captures in mode "global".
inline void refuse_while_capturing(const std::string& what) {
  std::lock_guard<std::recursive_mutex> lock(captures().mutex);
  for (auto& [stream, graph] : captures().by_stream)
    if (graph->thread == std::this_thread::get_id() || !graph->others_may_run) refuse(*graph, what);
}

// For what waits for a whole device, captures on it included.
inline void refuse_while_anybody_captures(c10::DeviceIndex device, const std::string& what) {
  std::lock_guard<std::recursive_mutex> lock(captures().mutex);
  for (auto& [stream, graph] : captures().by_stream)
    if (graph->device == device || graph->thread == std::this_thread::get_id()) refuse(*graph, what);
}

inline void note_event(c10::StreamId stream, Event& event) { event.graph = capturing(stream); }

// A stream that waits for one that captures is part of the capture from then on.
inline void join_capture(c10::StreamId stream, const Event& event) {
  std::lock_guard<std::recursive_mutex> lock(captures().mutex);
  auto* mine = capturing(stream);
  for (auto& [other, graph] : captures().by_stream)
    if (graph == event.graph && event.graph) {
      TORCH_CHECK(!mine || mine == graph, "CUDA error: operation would make one capture depend on another");
      captures().by_stream[stream] = graph;
      return;
    }
  if (mine && !event.graph) refuse(*mine, "waiting for an event that was recorded outside of the capture");
}

inline Graph* begin_capture(c10::DeviceIndex device, const std::string& mode) {
  auto stream = current_stream(device);
  TORCH_CHECK(stream > 0, "CUDA graphs must be captured on a non-default stream.");
  std::lock_guard<std::recursive_mutex> lock(captures().mutex);
  TORCH_CHECK(!is_capturing(stream), kNotPermitted, " (a capture within a capture)");
  auto* graph = new Graph;
  graph->device = device;
  graph->thread = std::this_thread::get_id();
  graph->others_may_run = mode != "global";
  captures().by_stream[stream] = graph;
  return graph;
}

inline void end_capture(Graph* graph) {
  std::lock_guard<std::recursive_mutex> lock(captures().mutex);
  for (auto at = captures().by_stream.begin(); at != captures().by_stream.end();)
    at = at->second == graph ? captures().by_stream.erase(at) : std::next(at);
  graph->aside.copies.clear();
  for (auto& [_, storage] : graph->aside.own)  // nothing is computed yet
    std::memset(storage.mutable_data(), kNonsense, storage.nbytes());
  TORCH_CHECK(!graph->spoilt, "CUDA error: operation failed due to a previous error during capture");
}

// Note a call: of tensors from outside only where they are.
inline void record(Graph& graph, const c10::OperatorHandle& op, const Stack& arguments, const Stack& results) {
  Graph::Node node{op, op.schema().operator_name().name, {}, {}, {}};
  auto note = [&](const Tensor& t) {
    if (t.is_cpu()) return t.clone();  // a number, as it is now
    const auto& storage = t.storage();
    auto* impl = storage.unsafeGetStorageImpl();
    if (graph.aside.own.count(impl)) return t;
    node.outside.emplace_back(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(impl), storage.data());
    return over(borrowed(storage, t.device()), c10::DispatchKey::CUDA, t);
  };
  for (const auto& value : arguments) node.arguments.push_back(changed(value, note));
  for (const auto& value : results) node.results.push_back(changed(value, note));
  graph.nodes.push_back(std::move(node));
}

inline void replay(Graph& graph) {
  TORCH_CHECK(!graph.spoilt, "CUDA error: this graph's capture failed");
  c10::InferenceMode no_inference(false);
  at::NoGradGuard no_grad;
  for (auto& node : graph.nodes) {
    for (auto& [storage, address] : node.outside) {
      auto alive = storage.lock();
      TORCH_CHECK(
          alive && alive->data() == address, "CUDA error: an illegal memory access was encountered (a replay's ",
          node.name, " uses memory that was freed, or moved, after it was recorded)");
    }
    auto made = Forward(node.op, nullptr).run(node.arguments).results;
    for (size_t i = 0; i < made.size(); i++) {
      std::vector<Tensor> now, then;
      for_each_tensor(made[i], [&](const Tensor& t) { now.push_back(t); });
      for_each_tensor(node.results[i], [&](const Tensor& t) { then.push_back(t); });
      for (size_t k = 0; k < now.size(); k++)
        if (now[k].storage().data() != then[k].storage().data()) then[k].copy_(now[k]);
    }
  }
}

}  // namespace fakecuda
