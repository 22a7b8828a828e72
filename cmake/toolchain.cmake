# Compiler flags, sanitizers and the compiler cache; the presets choose among them.

option(CARILLON_WERROR "Warnings are errors" ON)
set(CARILLON_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12 calls the other alternatives of a variant uninitialized when it inlines a temporary one, and sees
    # overlapping copies in the standard library's operator+ of strings (its bug 105651).
    add_compile_options(-Wno-maybe-uninitialized -Wno-restrict)
endif()
if(CARILLON_WERROR)
    add_compile_options(-Werror)
endif()
if(CARILLON_SANITIZE)
    add_compile_options(-fsanitize=${CARILLON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${CARILLON_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
        # clang 14 cannot compile coroutines with this check.
        add_compile_options(-fno-sanitize=function)
    endif()
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # GCC's precompiled headers are cached only with these two relaxations.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

find_program(MOLD mold)
if(MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_link_options(-fuse-ld=mold)
endif()
