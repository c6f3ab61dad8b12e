from common import *
def f(p,x):
    h=x
    for l in p['l']: h=relu(h@(l['W']+l['A']@l['B']))
    return h@p['o']
p=dict(l=[dict(W=N(a,b,g=2**.5),A=jnp.zeros((a,4)),B=jnp.zeros((4,b))) for a,b in [(16,64),(64,64)]],o=N(64,1,g=.1))
g=jax.grad(lambda p:mse(f(p,x),y))(p); print("max|grad| A,B",[float(jnp.abs(l[k]).max()) for l in g['l'] for k in 'AB'])
print(winit.jax.audit(f,p,x,y,mse))
print("only A,B trainable:",winit.jax.audit(f,p,x,y,mse,trainable=lambda n:n[-1] in 'AB'))
