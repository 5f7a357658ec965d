// A stand-in for the driver's library libcuda.so.1, for the real pycuda on a machine without a GPU: device memory
// is host memory, kernels are the host loops of kernels.cu. As on a GPU nothing in a stream is done before
// somebody waits for it (here: only then), so a missing wait shows. As strict as the driver with contexts,
// handles, sizes and captured streams.
//
//   g++ -shared -DKERNELS='"kernels.cu"' -o libcuda.so.1 driver.cpp
//
// Without a soname: within a process that loads it under another name libcuda.so.1 stays the real one, or missing.

#include KERNELS

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

enum {
    INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700,
    CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901
};
enum { RELAXED = 2 };  // mode of a capture in which memory may be taken and freed

typedef std::function<void()> Work;
struct Event { double at_ms; bool reached; };
struct Stream { std::vector<Work> waiting, captured; bool captures, spoilt; int mode; };
struct Graph { std::vector<Work> work; };
struct Kernel { std::string name; };

int context;  // its address is the handle
thread_local std::vector<void *> current;
std::map<char *, size_t> device_memory, pinned_memory;
std::set<Stream *> streams;
std::set<Graph *> graphs;
std::map<std::string, int> failures;
double clock_ms;
int retained;
bool crashed;  // something in a stream used memory that was freed

// 0, or what the call answers because the test wants it so, or because no context is current.
int refused(const char *name, bool needs_context = true) {
    auto found = failures.find(name);
    if (found != failures.end() && found->second) return found->second;
    return needs_context && current.empty() ? INVALID_CONTEXT : 0;
}

bool lies_in(const std::map<char *, size_t> &memory, const void *at, size_t bytes) {
    char *begin = (char *)at;
    auto next = memory.upper_bound(begin);
    if (next == memory.begin()) return false;
    --next;
    return begin + bytes <= next->first + next->second;
}

void run_all(Stream *stream) {
    std::vector<Work> work;
    work.swap(stream->waiting);
    for (Work &one : work) one();
}

int put(Stream *stream, Work work) {
    if (!streams.count(stream)) return INVALID_VALUE;
    (stream->captures ? stream->captured : stream->waiting).push_back(work);
    return 0;
}

// What waits in a captured stream is not allowed, and ends the capture.
int wait_for(Stream *stream) {
    if (!streams.count(stream)) return INVALID_VALUE;
    if (stream->captures) return stream->spoilt = true, CAPTURE_INVALIDATED;
    run_all(stream);
    return crashed ? ILLEGAL_ADDRESS : 0;
}

bool is_known(const void *at, size_t bytes, const void *host) {
    return at == host || lies_in(device_memory, at, bytes);
}

int copy(Stream *stream, void *to, const void *from, size_t bytes, const void *host) {
    int failed = put(stream, [=] {  // again by a graph, long after this call
        if (is_known(to, bytes, host) && is_known(from, bytes, host)) memcpy(to, from, bytes);
        else crashed = true;
    });
    // Memory that is not pinned may be anybody's after the call.
    return failed || !host || lies_in(pinned_memory, host, bytes) ? failed : wait_for(stream);
}

// Whether a stream that is captured forbids to take or free memory, which ends the capture.
bool is_forbidden() {
    bool found = false;
    for (Stream *stream : streams)
        if (stream->captures && stream->mode != RELAXED) stream->spoilt = found = true;
    return found;
}

char *allocate(std::map<char *, size_t> &memory, size_t bytes) {
    char *at = (char *)aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(at, 205, bytes);
    memory[at] = bytes;
    return at;
}

int release(std::map<char *, size_t> &memory, char *at) {
    if (is_forbidden()) return CAPTURE_UNSUPPORTED;
    for (Stream *stream : streams)
        if (!stream->captures) run_all(stream);  // freeing waits for the device
    if (!memory.erase(at)) return INVALID_VALUE;
    free(at);
    return 0;
}

}  // namespace

extern "C" {

// ---- for the tests

void standin_fail(const char *call, int code) { failures[call] = code; }  // from now on; 0: no more
void standin_forget() {  // what a test left; memory that is pinned may still be looked at, and leaks
    current.clear();
    failures.clear();
    device_memory.clear();
    pinned_memory.clear();
    streams.clear();
    graphs.clear();
    retained = 0;
    crashed = false;
}
int standin_graphs() { return graphs.size(); }
const char *standin_held() {  // in words, empty when there is nothing
    static std::string words;
    words.clear();
    std::pair<const char *, size_t> counts[] = {{"device", device_memory.size()}, {"pinned", pinned_memory.size()},
        {"streams", streams.size()}, {"graphs", graphs.size()}, {"contexts", (size_t)retained}};
    for (auto &one : counts)
        if (one.second) words += std::string(one.first) + " " + std::to_string(one.second) + " ";
    return words.c_str();
}

// ---- the driver's interface, as far as it is used

int cuInit(unsigned) { return refused("cuInit", false); }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return index ? 101 : refused("cuDeviceGet", false); }
int cuDeviceGetName(char *name, int length, int) { snprintf(name, length, "Stand-in"); return 0; }
int cuDeviceComputeCapability(int *major, int *minor, int) { *major = 8; *minor = 7; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 1;
    return 0;
}
int cuDevicePrimaryCtxRetain(void **to, int) { *to = &context; ++retained; return 0; }
int cuDevicePrimaryCtxRelease_v2(int) { --retained; return retained < 0 ? INVALID_CONTEXT : 0; }
int cuCtxPushCurrent_v2(void *which) { current.push_back(which); return which == &context ? 0 : INVALID_CONTEXT; }
int cuCtxPopCurrent_v2(void **which) {
    if (current.empty()) return INVALID_CONTEXT;
    *which = current.back();
    current.pop_back();
    return 0;
}
// pycuda calls it when a primary context is left to Python's garbage, where it does not belong.
int cuCtxDetach(void *) { return INVALID_CONTEXT; }
int cuCtxGetDevice(int *device) { *device = 0; return refused("cuCtxGetDevice"); }
int cuCtxSynchronize() {
    for (Stream *stream : streams)
        if (int failed = wait_for(stream)) return failed;
    return refused("cuCtxSynchronize");
}
int cuGetErrorString(int code, const char **text) {
    static std::map<int, const char *> words = {
        {INVALID_VALUE, "invalid argument"},
        {OUT_OF_MEMORY, "out of memory"},
        {100, "no CUDA-capable device is detected"},
        {INVALID_CONTEXT, "invalid device context"},
        {209, "no kernel image is available for execution on the device"},
        {214, "uncorrectable ECC error encountered"},
        {ILLEGAL_ADDRESS, "an illegal memory access was encountered"},
        {719, "unspecified launch failure"},
        {801, "operation not supported"},
        {803, "system has unsupported display driver / cuda driver combination"},
        {CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"},
        {CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"},
    };
    *text = words.count(code) ? words[code] : "unknown error";
    return 0;
}

int cuStreamCreate(Stream **stream, unsigned flags) {
    if (int code = refused("cuStreamCreate")) return code;
    if (flags != 1) return INVALID_VALUE;  // only streams that do not block can be captured
    streams.insert(*stream = new Stream());
    return 0;
}
int cuStreamDestroy_v2(Stream *stream) {
    if (!streams.erase(stream)) return INVALID_VALUE;
    delete stream;
    return refused("cuStreamDestroy");
}
int cuStreamSynchronize(Stream *stream) {
    int code = refused("cuStreamSynchronize");
    return code ? code : wait_for(stream);
}

int cuEventCreate(Event **event, unsigned) {
    int code = refused("cuEventCreate");
    if (!code) *event = new Event();
    return code;
}
int cuEventDestroy_v2(Event *event) { delete event; return 0; }
int cuEventRecord(Event *event, Stream *stream) {
    int code = refused("cuEventRecord");
    event->reached = false;
    return code ? code : put(stream, [=] { event->reached = true; event->at_ms = ++clock_ms; });
}
int cuEventElapsedTime_v2(float *ms, Event *from, Event *to) {
    if (!from->reached || !to->reached) return 600;  // not ready
    *ms = (float)(to->at_ms - from->at_ms);
    return 0;
}
int cuEventElapsedTime(float *ms, Event *from, Event *to) { return cuEventElapsedTime_v2(ms, from, to); }

int cuMemAlloc_v2(char **at, size_t bytes) {
    int code = is_forbidden() ? CAPTURE_UNSUPPORTED : refused("cuMemAlloc");
    if (!code) *at = allocate(device_memory, bytes);
    return code;
}
int cuMemFree_v2(char *at) { return release(device_memory, at); }
int cuMemHostAlloc(char **at, size_t bytes, unsigned) {
    int code = is_forbidden() ? CAPTURE_UNSUPPORTED : refused("cuMemHostAlloc");
    if (!code) *at = allocate(pinned_memory, bytes);
    return code;
}
int cuMemFreeHost(char *at) { return release(pinned_memory, at); }
int cuMemGetInfo_v2(size_t *unused, size_t *total) {
    *total = *unused = (size_t)1 << 30;
    for (auto &one : device_memory) *unused -= one.second;
    return refused("cuMemGetInfo");
}

int cuMemcpyHtoDAsync_v2(char *to, const void *from, size_t bytes, Stream *stream) {
    if (int code = refused("cuMemcpyHtoDAsync")) return code;
    return lies_in(device_memory, to, bytes) ? copy(stream, to, from, bytes, from) : INVALID_VALUE;
}
int cuMemcpyDtoHAsync_v2(void *to, char *from, size_t bytes, Stream *stream) {
    if (int code = refused("cuMemcpyDtoHAsync")) return code;
    return lies_in(device_memory, from, bytes) ? copy(stream, to, from, bytes, to) : INVALID_VALUE;
}
int cuMemcpyDtoDAsync_v2(char *to, char *from, size_t bytes, Stream *stream) {
    if (int code = refused("cuMemcpyDtoDAsync")) return code;
    bool good = lies_in(device_memory, from, bytes) && lies_in(device_memory, to, bytes);
    return good ? copy(stream, to, from, bytes, 0) : INVALID_VALUE;
}

int cuMemsetD8Async(char *at, unsigned char value, size_t bytes, Stream *stream) {
    if (int code = refused("cuMemsetD8Async")) return code;
    return lies_in(device_memory, at, bytes) ? put(stream, [=] { memset(at, value, bytes); }) : INVALID_VALUE;
}

int cuLaunchHostFunc(Stream *stream, void (*function)(void *), void *data) {
    int code = refused("cuLaunchHostFunc");
    return code ? code : put(stream, [=] { function(data); });
}

int cuModuleLoadDataEx(int **module, const void *image, unsigned, void *, void *) {
    int code = refused("cuModuleLoadDataEx");
    if (!code) *module = new int(image != 0);
    return code;
}
int cuModuleUnload(int *module) { delete module; return 0; }
int cuModuleGetFunction(Kernel **function, int *, const char *name) {
    std::string known[] = {"prepare", "restore", "finish"};
    for (const std::string &one : known)
        if (one == name) return *function = new Kernel{one}, 0;  // as long as its module: not freed
    return NOT_FOUND;
}
// Older versions of pycuda set these before a launch.
int cuFuncSetBlockShape(Kernel *, int, int, int) { return 0; }
int cuFuncSetSharedSize(Kernel *, unsigned) { return 0; }
int cuParamSetSize(Kernel *, unsigned) { return 0; }

int cuLaunchKernel(Kernel *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned, Stream *stream, void **, void **extra) {
    if (int code = refused("cuLaunchKernel")) return code;
    if (bx * by * bz > 1024 || (size_t)extra[0] != 1 || (size_t)extra[2] != 2 || extra[4]) return INVALID_VALUE;
    std::string packed((char *)extra[1], *(size_t *)extra[3]);  // the driver copies them, too
    auto start = [=](auto arguments, auto width, auto height, auto loop) {
        if (packed.size() != sizeof arguments) return (int)INVALID_VALUE;
        memcpy(&arguments, packed.data(), packed.size());
        if (gx * bx < (unsigned)(arguments.*width) || gy * by < (unsigned)(arguments.*height)) return (int)INVALID_VALUE;
        return put(stream, [=] { loop(&arguments, gz); });
    };
    if (kernel->name == "prepare") return start(Prepare(), &Prepare::network_w, &Prepare::network_h, host_prepare);
    if (kernel->name == "restore") return start(Restore(), &Restore::width, &Restore::height, host_restore);
    return start(Finish(), &Finish::width, &Finish::height, host_finish);
}

// ---- graphs

int cuStreamBeginCapture_v2(Stream *stream, int mode) {
    if (int code = refused("cuStreamBeginCapture")) return code;
    if (!streams.count(stream) || stream->captures) return INVALID_VALUE;
    stream->captures = true;
    stream->mode = mode;
    stream->spoilt = false;
    stream->captured.clear();
    return 0;
}
int cuStreamEndCapture(Stream *stream, Graph **graph) {
    if (!streams.count(stream) || !stream->captures) return INVALID_VALUE;
    stream->captures = false;
    *graph = 0;
    if (int code = refused("cuStreamEndCapture")) return code;
    if (stream->spoilt) return CAPTURE_INVALIDATED;
    graphs.insert(*graph = new Graph{stream->captured});
    return 0;
}
int cuGraphInstantiateWithFlags(Graph **runnable, Graph *graph, unsigned long long) {
    if (int code = refused("cuGraphInstantiate")) return code;
    if (!graphs.count(graph)) return INVALID_VALUE;
    graphs.insert(*runnable = new Graph(*graph));
    return 0;
}
int cuGraphLaunch(Graph *runnable, Stream *stream) {
    if (int code = refused("cuGraphLaunch")) return code;
    if (!graphs.count(runnable)) return INVALID_VALUE;
    for (Work &one : runnable->work)
        if (int failed = put(stream, one)) return failed;
    return 0;
}
int cuGraphDestroy(Graph *graph) {
    if (!graphs.erase(graph)) return INVALID_VALUE;
    delete graph;
    return 0;
}
int cuGraphExecDestroy(Graph *runnable) { return cuGraphDestroy(runnable); }

}  // extern "C"
