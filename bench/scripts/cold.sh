# cold.sh DIRECTORY IMAGE NAME ADDRESS PORT: builds and runs a service until it answers.
. "${BASH_SOURCE%/*}/lib.sh"
podman build -q -t "$2" "$1" >/dev/null
podman push -q --tls-verify=false "$2"
podman run -q -d --name "$3" -e "PORT=$5" -p "$4:$5:$5" "$2" >/dev/null
serves "http://$4:$5/"
