{
  "targets": [
    {
      "target_name": "uring_streams",
      "sources": [],
      "conditions": [
        ["OS=='linux'", {
          "sources": [
            "binding/runtime.cc",
            "binding/syscall.cc",
            "binding/ring.cc",
            "binding/buffer_arena.cc",
            "binding/registered_buffers.cc",
            "binding/file_table.cc",
            "binding/operation.cc",
            "binding/copy_pipeline.cc",
            "binding/engine.cc",
            "binding/engine_end.cc",
            "binding/inspect.cc",
            "binding/first_read.cc",
            "binding/wake_source.cc",
            "binding/reaper.cc",
            "binding/wakeup.cc",
            "binding/engine_host.cc",
            "binding/engine_wrap.cc",
            "binding/file_calls.cc",
            "binding/small_files.cc",
            "binding/thread_work.cc",
            "binding/addon.cc"
          ]
        }]
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "<(SHARED_INTERMEDIATE_DIR)"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "actions": [{
        "action_name": "stamp",
        "inputs": ["<!@(node binding/stamp.js --files)"],
        "outputs": ["<(SHARED_INTERMEDIATE_DIR)/stamp.h"],
        "action": ["node", "binding/stamp.js", "<@(_outputs)"]
      }],
      "cflags": ["-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Werror"],
      "ldflags": ["-Wl,--gc-sections"],
      "libraries": ["-lc"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fno-rtti"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"]
    }
  ]
}
