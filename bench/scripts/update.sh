# update.sh IMAGE NAME ADDRESS PORT OLD: starts a new version beside the old one,
# prints "serving" when it answers, and then removes the old one.
. "${BASH_SOURCE%/*}/lib.sh"
podman create -q --tls-verify=false --name "$2" -e "PORT=$4" -p "$3:$4:$4" "$1" >/dev/null
podman start "$2" >/dev/null
serves "http://$3:$4/"
echo serving
podman stop "$5" >/dev/null
podman rm "$5" >/dev/null
