#!/bin/bash
# One Swift with its S3 interface, in a folder of its own: swift.sh DIR PROXY ACCOUNT CONTAINER OBJECT MEMCACHED (ports).
# Stays in the foreground; what it started dies with it. Access key test:tester, secret testing.
set -eu
dir=$1 proxy=$2 account=$3 container=$4 object=$5 memcached=$6
user=$(id -un)
cd "$dir"
mkdir -p dev/d1
if [ -r /etc/swift/swift.conf ]; then
    cp /etc/swift/swift.conf swift.conf
else
    printf '[swift-hash]\nswift_hash_path_suffix = tests\nswift_hash_path_prefix = leat\n' >swift.conf
fi

ring() {
    swift-ring-builder "$1.builder" create 4 1 1
    swift-ring-builder "$1.builder" add "r1z1-127.0.0.1:$2/d1" 1
    swift-ring-builder "$1.builder" rebalance
}

store() {
    cat >"$1.conf" <<C
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
user = $user
swift_dir = $dir
devices = $dir/dev
mount_check = false
workers = 0
log_level = WARNING
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
C
    ring "$1" "$2" >"$1.ring.log"
    setpriv --pdeathsig KILL "swift-$1-server" "$1.conf" &
}

cat >proxy.conf <<C
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $proxy
user = $user
swift_dir = $dir
workers = 0
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache bulk listing_formats s3api tempauth slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$memcached
[filter:proxy-logging]
use = egg:swift#proxy_logging
C
for filter in catch_errors gatekeeper healthcheck bulk listing_formats slo dlo; do
    printf '[filter:%s]\nuse = egg:swift#%s\n' $filter $filter >>proxy.conf
done

# tempauth refuses to work without a cache. As root it would refuse to start, and if it changed its user itself the kernel
# would forget that it dies with us.
as_nobody=
[ "$(id -u)" != 0 ] || as_nobody="--reuid=nobody --regid=nogroup --clear-groups"
setpriv $as_nobody --pdeathsig KILL memcached -l 127.0.0.1 -p "$memcached" -m 32 &
store account "$account"
store container "$container"
store object "$object"
setpriv --pdeathsig KILL swift-proxy-server proxy.conf &
wait
