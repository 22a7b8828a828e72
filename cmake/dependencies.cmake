# Everything the build needs from outside. docs/dependencies.md gives each its reason.

find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(Boost 1.81 REQUIRED COMPONENTS json)

add_library(carillon_boost INTERFACE)
target_link_libraries(carillon_boost INTERFACE Boost::json Threads::Threads)
target_compile_definitions(carillon_boost INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
    BOOST_ASIO_NO_DEPRECATED BOOST_ERROR_CODE_HEADER_ONLY)

find_path(TOMLPP_INCLUDE toml++/toml.h REQUIRED)
add_library(carillon_toml INTERFACE)
target_include_directories(carillon_toml SYSTEM INTERFACE ${TOMLPP_INCLUDE})

find_path(HIREDIS_INCLUDE hiredis/read.h REQUIRED)
find_library(HIREDIS_LIBRARY hiredis REQUIRED)
add_library(carillon_hiredis INTERFACE)
target_include_directories(carillon_hiredis SYSTEM INTERFACE ${HIREDIS_INCLUDE})
target_link_libraries(carillon_hiredis INTERFACE ${HIREDIS_LIBRARY})

find_path(CCTZ_INCLUDE cctz/time_zone.h REQUIRED)
find_library(CCTZ_LIBRARY cctz REQUIRED)
add_library(carillon_cctz INTERFACE)
target_include_directories(carillon_cctz SYSTEM INTERFACE ${CCTZ_INCLUDE})
target_link_libraries(carillon_cctz INTERFACE ${CCTZ_LIBRARY})

find_path(RABBITMQ_INCLUDE amqp_framing.h REQUIRED)
find_library(RABBITMQ_LIBRARY rabbitmq REQUIRED)
add_library(carillon_rabbitmq INTERFACE)
target_include_directories(carillon_rabbitmq SYSTEM INTERFACE ${RABBITMQ_INCLUDE})
target_link_libraries(carillon_rabbitmq INTERFACE ${RABBITMQ_LIBRARY})
