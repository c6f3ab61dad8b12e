import os; os.environ["KERAS_BACKEND"]="jax"
import numpy as np, jax, jax.numpy as jnp, winit, winit.jax
R=np.random.default_rng(0); relu=jax.nn.relu
def N(*s,g=1.): return jnp.asarray(R.normal(size=s)*g/np.sqrt(s[0]),jnp.float32)
x=jnp.asarray(R.normal(size=(64,16)),jnp.float32); y=jnp.asarray(R.normal(size=(64,1)),jnp.float32)
mse=lambda o,y: jnp.mean((o-y)**2)
