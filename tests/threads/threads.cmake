# The proof about threads: the one that the thread sanitizer looks at as well. Beside the program itself it needs the
# same without assertions, and shared libraries that hide their symbols.

foreach(library one two three)
  add_library(coflow_threads_${library} SHARED threads/library.cpp)
  target_include_directories(coflow_threads_${library} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(coflow_threads_${library} PRIVATE COFLOW_COUNT_FRAMES COFLOW_LIBRARY=${library})
  set_target_properties(coflow_threads_${library} PROPERTIES
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(coflow_threads_${library} PRIVATE coflow_program)
endforeach()
# This one shares nothing: it must be seen to disagree.
target_link_options(coflow_threads_three PRIVATE
  "-Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/threads/local.map")

add_executable(coflow_threads_release threads/release_build.cpp)
target_compile_definitions(coflow_threads_release PRIVATE NDEBUG)
add_executable(coflow_threads threads/threads.cpp)
add_dependencies(coflow_threads coflow_threads_release)
target_link_libraries(coflow_threads PRIVATE coflow_threads_one coflow_threads_two coflow_threads_three)
foreach(program coflow_threads coflow_threads_release)
  target_include_directories(${program} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(${program} PRIVATE COFLOW_COUNT_FRAMES)
  target_link_libraries(${program} PRIVATE coflow_program)
endforeach()

# Under the thread sanitizer the unit tests that are tagged so have that name.
set(test threads)
if(only_threads)
  set(test threads.proof)
endif()
set(key threads)
if(COFLOW_SANITIZE)
  target_compile_definitions(coflow_threads PRIVATE COFLOW_FEWER_POINTS)
  set(key "threads sanitized")
endif()
add_test(NAME ${test}
  COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/points/check" "${key}" $<TARGET_FILE:coflow_threads>)
set_tests_properties(${test} PROPERTIES LABELS threads TIMEOUT 600)
