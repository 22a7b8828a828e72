# carillon_layer(NAME LINK …): the static library carillon_NAME of src/NAME/*.cpp, and test_NAME of src/NAME/*_test.cpp.

find_path(DOCTEST_INCLUDE doctest/doctest.h)
enable_testing()

file(WRITE ${CMAKE_BINARY_DIR}/std_pch.cpp "")
add_library(std_pch STATIC ${CMAKE_BINARY_DIR}/std_pch.cpp)
target_precompile_headers(std_pch PRIVATE <algorithm> <array> <atomic> <chrono> <coroutine> <cstddef> <cstdint> <cstring>
    <exception> <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view> <system_error> <thread>
    <unordered_map> <utility> <variant> <vector>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-fpch-preprocess)
endif()

# doctest itself takes seconds to compile: once for all programs.
if(CARILLON_TESTS)
    add_library(doctest_main OBJECT ${CMAKE_SOURCE_DIR}/cmake/doctest_main.cpp)
    target_include_directories(doctest_main SYSTEM PRIVATE ${DOCTEST_INCLUDE})
endif()

# Test sources of any target: one doctest program, registered with ctest.
function(carillon_test target)
    cmake_parse_arguments(T "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${target} ${T_SOURCES} $<TARGET_OBJECTS:doctest_main>)
    target_include_directories(${target} SYSTEM PRIVATE ${DOCTEST_INCLUDE})
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} PRIVATE ${T_LINK} Threads::Threads)
    target_compile_definitions(${target} PRIVATE CARILLON_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_precompile_headers(${target} REUSE_FROM std_pch)
    add_test(NAME ${target} COMMAND ${target})
endfunction()

function(carillon_layer name)
    cmake_parse_arguments(L "" "" "LINK" ${ARGN})
    list(TRANSFORM L_LINK REPLACE "^(base|wire|net|channels|db|jobs|web|testing|admin)$" "carillon_\\1")
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
    set(tests ${sources})
    list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
    list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cpp$")
    add_library(carillon_${name} STATIC ${sources})
    target_include_directories(carillon_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(carillon_${name} PUBLIC ${L_LINK})
    target_precompile_headers(carillon_${name} REUSE_FROM std_pch)
    if(CARILLON_TESTS AND tests)
        carillon_test(test_${name} SOURCES ${tests} LINK carillon_${name})
    endif()
endfunction()
